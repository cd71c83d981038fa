// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT

// Go's part of ../ticker.c: the same blockers and the same ticker, by goroutines.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"syscall"
	"time"
	"unsafe"
)

const (
	ticks      = 1000
	tick       = time.Millisecond
	roundTime  = 2 * ticks * tick
	blockers   = 8
	blockTime  = 10 * time.Millisecond
	worldFd    = 3
	faultPages = 64

	sysUserfaultfd   = 323
	uffdUserModeOnly = 1
	uffdAPI          = 0xaa
	uffdioAPI        = 0xc018aa3f
	uffdioRegister   = 0xc020aa00
	registerMissing  = 1
)

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "ticker-go: %s: %v\n", what, err)
		os.Exit(1)
	}
}

// Through syscall.Syscall: the runtime knows that it is in a system call.
func rawSleep(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	syscall.Nanosleep(&ts, nil)
}

func ioctl(fd uintptr, request uintptr, arg unsafe.Pointer, what string) {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(arg))
	if errno != 0 {
		check(errno, what)
	}
}

func prepareFaults() []byte {
	size := blockers * faultPages * os.Getpagesize()
	pages, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS)
	check(err, "mmap")
	fd, _, errno := syscall.Syscall(sysUserfaultfd, syscall.O_CLOEXEC|uffdUserModeOnly, 0, 0)
	if errno != 0 {
		check(errno, "userfaultfd")
	}
	api := [3]uint64{uffdAPI, 0, 0}
	ioctl(fd, uffdioAPI, unsafe.Pointer(&api), "UFFDIO_API")
	reg := [4]uint64{uint64(uintptr(unsafe.Pointer(&pages[0]))), uint64(size), registerMissing, 0}
	ioctl(fd, uffdioRegister, unsafe.Pointer(&reg), "UFFDIO_REGISTER")
	check(syscall.Sendmsg(worldFd, []byte{0}, syscall.UnixRights(int(fd)), nil, 0), "sendmsg")
	return pages
}

func blockOnLock(fd int) {
	check(syscall.Flock(fd, syscall.LOCK_EX), "flock")
	rawSleep(blockTime / blockers)
	syscall.Flock(fd, syscall.LOCK_UN)
}

func blockOnPage(own []byte, turn int) {
	if turn%faultPages == 0 {
		check(syscall.Madvise(own, syscall.MADV_DONTNEED), "madvise")
	}
	own[turn%faultPages*os.Getpagesize()] = 1
}

func block(work, path string, own []byte) {
	fd := -1
	if work == "flock" {
		var err error
		fd, err = syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
		check(err, path)
	}
	byte := make([]byte, 1)
	for turn := 0; ; turn++ {
		switch work {
		case "sleep":
			rawSleep(blockTime)
		case "flock":
			blockOnLock(fd)
		case "pipe":
			_, err := syscall.Read(worldFd, byte)
			check(err, "read")
		default:
			blockOnPage(own, turn)
		}
		runtime.Gosched()
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: ticker-go sleep|flock|pipe|uffd LOCK (ticker calls it)")
		os.Exit(2)
	}
	work := os.Args[1]
	var pages []byte
	if work == "uffd" {
		pages = prepareFaults()
	}
	for i := 0; i < blockers; i++ {
		own := pages[len(pages)/blockers*i : len(pages)/blockers*(i+1)]
		go block(work, os.Args[2], own)
	}
	var late []int
	now := time.Now()
	next, end := now, now.Add(roundTime)
	for len(late) < ticks && now.Before(end) {
		next = next.Add(tick)
		if next.Before(now) {
			next = now.Add(tick)
		}
		time.Sleep(time.Until(next))
		now = time.Now()
		late = append(late, int(now.Sub(next)))
	}
	sort.Ints(late)
	fmt.Println(late[len(late)*99/100])
}
