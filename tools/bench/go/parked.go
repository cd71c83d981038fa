// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT

// What parked.c measures of fibers, of goroutines: starts as many as it is told,
// and prints by how many bytes the process has grown when all of them wait.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// memory returns the process's memory and page tables, in bytes.
func memory() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	total := 0
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		if len(f) == 3 && (f[0] == "VmRSS:" || f[0] == "VmPTE:" || f[0] == "VmSwap:") {
			kb, _ := strconv.Atoi(f[1])
			total += kb << 10
		}
	}
	return total
}

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	var parked sync.WaitGroup
	var end sync.WaitGroup
	release := make(chan bool)

	before := memory()
	parked.Add(n)
	end.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			parked.Done()
			<-release
			end.Done()
		}()
	}
	parked.Wait()
	fmt.Println(memory() - before)
	close(release)
	end.Wait()
}
