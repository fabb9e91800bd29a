package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How a fetch ends: the file is there; the vault was asked and does not have it; nobody gave an answer, so that the file is to be
// fetched in another way.
const (
	fetched   = 0
	notStored = 44
	noAnswer  = 75
)

const longestRequest = 8000

// A worker says "wait" twice as often; one that says nothing at all hangs.
const firstWordSeconds = 10

// For so long it is not asked again.
const silentFor = time.Minute

// Stands beside the file that is fetched; PostgreSQL removes it when it starts, as takeFile says.
const silentMark = "xlogtemp.lifeboat-silent"

// Brings one WAL file from the worker on this host to the server that calls it in its data directory (restore_command).
func fetch(args []string) int {
	if len(args) != 5 {
		os.Stderr.WriteString("usage: lifeboat-wal-push --fetch SOCKET SOURCE FILE PATH inside|plain\n")
		return noAnswer
	}
	socket, source, name, place := args[0], args[1], args[2], args[4]
	path, err := filepath.Abs(args[3])
	if err != nil {
		return noAnswer
	}
	system, segmentBytes, isKnown := cluster("global/pg_control")
	if !isKnown {
		return noAnswer
	}
	folder := filepath.Dir(path)
	words := []string{"fetch", source, system, segmentBytes, name, place, identity(folder), folder}
	request := strings.Join(words, "\t")
	if len(request) > longestRequest || strings.ContainsAny(request, "\n\r") || strings.Count(request, "\t") != len(words)-1 {
		return noAnswer
	}
	mark := filepath.Join(folder, silentMark)
	if wasSilent(mark) {
		return noAnswer
	}
	connection, err := connect(socket, firstWordSeconds)
	if err != nil {
		return noAnswerAfter(err, mark)
	}
	defer syscall.Close(connection)
	if err := writeAll(connection, []byte(request+"\n")); err != nil {
		return noAnswerAfter(err, mark)
	}
	line, rest, err := firstLine(connection)
	if err != nil {
		return noAnswerAfter(err, mark)
	}
	if line == "absent" {
		return notStored
	}
	length, isHere := strings.CutPrefix(line, "here ")
	count, err := strconv.ParseInt(length, 10, 64)
	if !isHere || err != nil || count < int64(len(rest)) {
		return noAnswer
	}
	if !takeFile(connection, rest, count, path) {
		return noAnswer
	}
	return fetched
}

// System identifier and length of a WAL segment, as pg_control has them: it begins with the one, and the other follows
// floatFormat, which is the same in every file (pg_control.h).
func cluster(path string) (string, string, bool) {
	control, err := os.ReadFile(path)
	if err != nil {
		return "", "", false
	}
	format := binary.LittleEndian.AppendUint64(nil, math.Float64bits(1234567))
	at := bytes.Index(control, format)
	if at < 8 || at+24 > len(control) {
		return "", "", false
	}
	system := binary.LittleEndian.Uint64(control)
	segmentBytes := binary.LittleEndian.Uint32(control[at+20:])
	return strconv.FormatUint(system, 10), strconv.FormatUint(uint64(segmentBytes), 10), true
}

// By it the worker knows whether it sees the same folder, which it may not when the server is in a container.
func identity(folder string) string {
	var stat syscall.Stat_t
	if syscall.Stat(folder, &stat) != nil {
		return "unknown"
	}
	return strconv.FormatUint(uint64(stat.Dev), 10) + ":" + strconv.FormatUint(uint64(stat.Ino), 10)
}

// Not asked again so soon: what hangs would cost its deadline for each file.
func wasSilent(mark string) bool {
	found, err := os.Stat(mark)
	if err != nil {
		return false
	}
	age := time.Since(found.ModTime())
	if age >= 0 && age < silentFor {
		return true
	}
	os.Remove(mark)
	return false
}

// Of a worker that is gone or says no the next file is asked at once; one that hangs is remembered.
func noAnswerAfter(err error, mark string) int {
	if err == syscall.EAGAIN {
		os.WriteFile(mark, nil, 0o600)
	}
	return noAnswer
}

// The first line that is not "wait", and what came behind it.
func firstLine(connection int) (string, []byte, error) {
	var said []byte
	isSilent := true
	chunk := make([]byte, 1<<16)
	for {
		for {
			line, rest, isWhole := bytes.Cut(said, []byte("\n"))
			if !isWhole {
				break
			}
			if string(line) != "wait" {
				return string(line), rest, nil
			}
			said = rest
		}
		count, err := readSome(connection, chunk)
		if err != nil {
			return "", nil, err
		}
		if count == 0 || len(said) > 1<<20 {
			return "", nil, syscall.ECONNRESET
		}
		if isSilent {
			if err := limitSilence(connection, silenceSeconds); err != nil {
				return "", nil, err
			}
			isSilent = false
		}
		said = append(said, chunk[:count]...)
	}
}

func readSome(connection int, chunk []byte) (int, error) {
	for {
		count, err := syscall.Read(connection, chunk)
		if err != syscall.EINTR {
			return count, err
		}
	}
}

// Whole or not at all. PostgreSQL itself removes what begins so and was left behind (xlog.c, RemoveTempXlogFiles).
func takeFile(connection int, rest []byte, count int64, path string) bool {
	staged := filepath.Join(filepath.Dir(path), "xlogtemp."+strconv.Itoa(os.Getpid()))
	os.Remove(staged)
	file, err := os.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	isWhole := receive(connection, rest, count, file)
	if file.Close() != nil || !isWhole || os.Rename(staged, path) != nil {
		os.Remove(staged)
		return false
	}
	return true
}

func receive(connection int, rest []byte, count int64, file *os.File) bool {
	chunk := make([]byte, 1<<18)
	for {
		if _, err := file.Write(rest); err != nil {
			return false
		}
		count -= int64(len(rest))
		if count <= 0 {
			return count == 0
		}
		read, err := readSome(connection, chunk)
		if err != nil || read == 0 {
			return false
		}
		rest = chunk[:read]
	}
}
