module lifeboat/wal-push

go 1.21
