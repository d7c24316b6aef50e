package log

// ReplaceFile puts data in place of a small file of dir, so that after a crash there
// is the old file or the new one. When it returns nil the new one is durable.
func ReplaceFile(files Files, dir, name string, data []byte) error {
	return replaceFile(files, dir, name, data)
}

// ReadFile reads a whole file that is not large. The error wraps ErrNotExist if it is
// not there.
func ReadFile(files Files, name string) ([]byte, error) { return readSmallFile(files, name) }
