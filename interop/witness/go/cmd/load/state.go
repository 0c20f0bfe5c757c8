package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// keep writes a line for each log: the size that was acknowledged, and those of requests that were not answered.
func (l *load) keep(path string) error {
	var text strings.Builder
	for _, log := range l.logs {
		fmt.Fprint(&text, log.acknowledged)
		for _, size := range log.unknown {
			fmt.Fprint(&text, " ", size)
		}
		text.WriteByte('\n')
	}
	if err := os.WriteFile(path+".new", []byte(text.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (l *load) restore(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for _, log := range l.logs {
		if !lines.Scan() {
			return fmt.Errorf("%s is of fewer logs", path)
		}
		for i, word := range strings.Fields(lines.Text()) {
			size, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if i == 0 {
				log.acknowledged = size
			} else {
				log.unknown = append(log.unknown, size)
			}
		}
	}
	return lines.Err()
}
