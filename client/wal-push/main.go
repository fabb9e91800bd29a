// Hands one WAL file to the worker on this host and waits until the worker says that it is durable in the store; with --fetch it
// brings one from there. PostgreSQL calls it for every file, so it is a program of its own that starts at once.
package main

import (
	"bytes"
	"os"
	"strings"
	"syscall"
)

// The worker says something at least every few seconds while it works; one that is silent for as long as this hangs.
const silenceSeconds = 60

const longestPath = 4096

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--fetch" {
		os.Exit(fetch(os.Args[2:]))
	}
	if len(os.Args) != 3 || strings.HasPrefix(os.Args[1], "-") {
		os.Stderr.WriteString("usage: lifeboat-wal-push SOCKET FILE\n" +
			"archive_command = '/path/to/lifeboat-wal-push /run/lifeboat/shop.sock %p'\n")
		os.Exit(2)
	}
	isDurable, why := push(os.Args[1], os.Args[2])
	if !isDurable {
		os.Stderr.WriteString("lifeboat wal-push: " + why + "\n")
		os.Exit(1)
	}
}

// True only when the worker has said that the file is durable; otherwise with the reason.
func push(socket, file string) (bool, string) {
	if !strings.HasPrefix(file, "/") {
		folder, err := os.Getwd()
		if err != nil {
			return false, "the working directory is unknown: " + err.Error()
		}
		file = folder + "/" + file
	}
	if len(file) > longestPath || strings.ContainsAny(file, "\n\r") {
		return false, "the path of the file is no path that can be handed over"
	}
	connection, err := connect(socket, silenceSeconds)
	if err != nil {
		return false, "no worker listens at " + socket + ": " + err.Error() + "; PostgreSQL keeps the file and tries again"
	}
	defer syscall.Close(connection)
	if err := writeAll(connection, []byte("push "+file+"\n")); err != nil {
		return false, "the worker at " + socket + " went away: " + err.Error()
	}
	return answer(connection, socket)
}

func connect(socket string, seconds int64) (int, error) {
	connection, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := limitSilence(connection, seconds); err != nil {
		syscall.Close(connection)
		return -1, err
	}
	if err := syscall.Connect(connection, &syscall.SockaddrUnix{Name: socket}); err != nil {
		syscall.Close(connection)
		return -1, err
	}
	return connection, nil
}

func limitSilence(connection int, seconds int64) error {
	limit := syscall.Timeval{Sec: seconds}
	for _, option := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		if err := syscall.SetsockoptTimeval(connection, syscall.SOL_SOCKET, option, &limit); err != nil {
			return err
		}
	}
	return nil
}

func writeAll(connection int, rest []byte) error {
	for len(rest) > 0 {
		count, err := syscall.Write(connection, rest)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		rest = rest[count:]
	}
	return nil
}

// "wait" is no answer yet, "ok" is the only good one, anything else says why not.
func answer(connection int, socket string) (bool, string) {
	var said []byte
	chunk := make([]byte, 4096)
	for {
		for {
			end := bytes.IndexByte(said, '\n')
			if end < 0 {
				break
			}
			line := string(said[:end])
			said = said[end+1:]
			if line == "ok" {
				return true, ""
			}
			if reason, isRefused := strings.CutPrefix(line, "no "); isRefused {
				return false, "refused: " + reason
			}
			if line != "wait" {
				return false, "the worker at " + socket + " answered \"" + line + "\", which is no answer: is the helper of its version?"
			}
		}
		count, err := syscall.Read(connection, chunk)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			return false, "the worker at " + socket + " is silent; PostgreSQL keeps the file and tries again"
		}
		if err != nil || count == 0 || len(said) > 1<<20 {
			return false, "the worker at " + socket + " went away before it answered; PostgreSQL keeps the file and tries again"
		}
		said = append(said, chunk[:count]...)
	}
}
