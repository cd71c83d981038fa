// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT

// What goroutines cost: the same works as ../ufiber.c and ../ufiber_time.c, on two Ps
// unless the work's name tells how many. Where a work is of one server, a goroutine
// that computes has the other P.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func die(why string) {
	fmt.Fprintln(os.Stderr, "bench: go:", why)
	os.Exit(1)
}

func report(work string, value float64, unit string) {
	fmt.Printf("%s %.3f %s\n", work, value, unit)
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

// kilobytes returns the sum of those lines of a file in /proc.
func kilobytes(path string, names ...string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		die(err.Error())
	}
	total := 0
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		for _, name := range names {
			if len(f) == 3 && f[0] == name {
				kb, _ := strconv.Atoi(f[1])
				total += kb
			}
		}
	}
	return total
}

// memory returns the process's memory and page tables, in bytes.
func memory() int {
	return kilobytes("/proc/self/status", "VmRSS:", "VmPTE:", "VmSwap:") << 10
}

func needMemory(bytes int) {
	if kilobytes("/proc/meminfo", "MemAvailable:") < bytes>>10 {
		die(fmt.Sprintf("not enough memory: MemAvailable in /proc/meminfo must be %d MB", bytes>>20))
	}
}

const (
	batchTime   = time.Millisecond
	batches     = 101
	measureTime = 400 * time.Millisecond
)

func timeOf(fn func(times int), times int) time.Duration {
	start := time.Now()
	fn(times)
	return time.Since(start)
}

// measure does what peer_measure() in ../peer.c does.
func measure(work string, fn func(times int), per float64) {
	times := 8
	took := timeOf(fn, times)
	for took < batchTime/2 {
		times *= 2
		took = timeOf(fn, times)
	}
	times = int(float64(times)*float64(batchTime)/float64(took)) + 1
	var samples []float64
	start := time.Now()
	for len(samples) < batches && (len(samples) < 5 || time.Since(start) < measureTime) {
		samples = append(samples, float64(timeOf(fn, times))/float64(times)/per)
	}
	report(work, median(samples), "ns")
}

var computing atomic.Bool

func occupyOtherP() {
	go func() {
		computing.Store(true)
		for {
		}
	}()
	for !computing.Load() {
		runtime.Gosched()
	}
}

// The ring of ../peer.h.

const (
	stagesMax   = 51
	stageYields = 30000
	turnsMin    = 4
	stagesFew   = 3
)

type ring struct {
	members, turns, stages int
	stage, left, yields    atomic.Int64
	began, end             time.Time
	ns                     []float64
}

func newRing(members int) *ring {
	r := &ring{members: members, turns: stageYields / members, stages: stagesMax}
	if r.turns < turnsMin {
		r.turns = turnsMin
	}
	r.left.Store(int64(members))
	return r
}

func (r *ring) endStage() {
	t := time.Now()
	r.ns = append(r.ns, float64(t.Sub(r.began))/float64(r.yields.Swap(0)))
	r.began = t
	if len(r.ns) == 1 {
		r.end = t.Add(measureTime)
	} else if len(r.ns) > stagesFew && t.After(r.end) {
		r.stages = len(r.ns) - 1
	}
	r.left.Store(int64(r.members))
	r.stage.Add(1)
}

func (r *ring) member() {
	yields := 0
	for stage := 0; stage <= r.stages; stage++ {
		for i := 0; i < r.turns; i++ {
			runtime.Gosched()
		}
		r.yields.Add(int64(yields + r.turns))
		yields = 0
		if r.left.Add(-1) == 0 {
			r.endStage()
			continue
		}
		for r.stage.Load() == int64(stage) {
			runtime.Gosched()
			yields++
		}
	}
}

func yield(work string, n int) {
	needMemory(n * 5000)
	occupyOtherP()
	r := newRing(n)
	first := make(chan bool)
	go func() {
		r.member()
		close(first)
	}()
	for i := 1; i < n; i++ {
		go r.member()
	}
	<-first
	report(work, median(r.ns[1:]), "ns")
}

func spawnFree(work string, n int) {
	var end sync.WaitGroup
	measure(work, func(times int) {
		for i := 0; i < times; i++ {
			end.Add(1)
			go end.Done()
			end.Wait()
		}
	}, 1)
}

func spawn(work string, n int) {
	occupyOtherP()
	spawnFree(work, n)
}

func handOff(work string, lock bool) {
	there, back := make(chan int), make(chan int)
	go func() {
		if lock {
			runtime.LockOSThread()
		}
		for value := range there {
			back <- value
		}
	}()
	if lock {
		runtime.LockOSThread()
	}
	measure(work, func(times int) {
		for i := 0; i < times; i++ {
			there <- i
			<-back
		}
	}, 2)
}

func channelOne(work string, n int) {
	occupyOtherP()
	handOff(work, false)
}

// Unlocked: the goroutines may meet on one P, and do.
func channelTwo(work string, n int) {
	handOff(work, false)
}

func mutex(work string, n int) {
	var m sync.Mutex
	occupyOtherP()
	measure(work, func(times int) {
		for i := 0; i < times; i++ {
			m.Lock()
			m.Unlock()
		}
	}, 1)
}

const nrParked = 1000000

func parked(work string, n int) {
	needMemory(nrParked * 5000)
	var here sync.WaitGroup
	release := make(chan bool)
	before := memory()
	here.Add(nrParked)
	for i := 0; i < nrParked; i++ {
		go func() {
			here.Done()
			<-release
		}()
	}
	here.Wait()
	report(work, float64(memory()-before)/nrParked, "bytes")
}

// The figures of ../sleepers.h.

const (
	windowAfter = 500 * time.Millisecond
	window      = 1500 * time.Millisecond
	burstAfter  = 2000 * time.Millisecond
	tick        = time.Millisecond
	timerBursts = 4
	treeDepth   = 14
	treeFibers  = 2<<treeDepth - 1
	treeRounds  = 15
	leafTurns   = 500
)

func burstPeriod(n int) time.Duration {
	return 20*time.Millisecond + time.Duration(n)*2000
}

func scatter(i uint64) uint64 {
	i = (i + 1) * 0x9e3779b97f4a7c15
	i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9
	return i ^ (i >> 31)
}

func tickInWindow(begin time.Time) time.Duration {
	var late []time.Duration
	next, now := begin, begin
	for now.Before(begin.Add(window)) && len(late) < int(window/tick) {
		next = next.Add(tick)
		if next.Before(now) {
			next = now.Add(tick)
		}
		time.Sleep(time.Until(next))
		now = time.Now()
		late = append(late, now.Sub(next))
	}
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	return late[len(late)*99/100]
}

func sleepers(work string, n int) {
	needMemory(n * 5000)
	var here sync.WaitGroup
	var left atomic.Int64
	var begin time.Time
	open, end := make(chan bool), make(chan time.Time)
	here.Add(n)
	left.Store(int64(n))
	for i := 0; i < n; i++ {
		go func(i int) {
			after := time.Duration(scatter(uint64(i)) % uint64(window))
			here.Done()
			<-open
			time.Sleep(time.Until(begin.Add(after)))
			time.Sleep(time.Until(begin.Add(burstAfter)))
			if left.Add(-1) == 0 {
				end <- time.Now()
			}
		}(i)
	}
	here.Wait()
	begin = time.Now().Add(windowAfter)
	close(open)
	p99 := tickInWindow(begin)
	burst := (<-end).Sub(begin.Add(burstAfter))
	report(work, float64(n)/burst.Seconds(), "wakes/s")
	report("sleepers-tick-p99", float64(p99)/1000, "us")
}

type burst struct {
	left  atomic.Int64
	first time.Time
	ns    float64
}

func (b *burst) endSleep(n int) {
	left := b.left.Add(-1)
	if left == int64(n-1) {
		b.first = time.Now()
	}
	if left == 0 {
		b.ns = float64(time.Since(b.first))
	}
}

func timers(work string, n int) {
	needMemory(n * 5000)
	runtime.GOMAXPROCS(1)
	var here, end sync.WaitGroup
	var bursts [timerBursts]burst
	var begin time.Time
	open := make(chan bool)
	for i := range bursts {
		bursts[i].left.Store(int64(n))
	}
	here.Add(n)
	end.Add(n)
	for i := 0; i < n; i++ {
		go func(i int) {
			after := time.Duration(scatter(uint64(i)) % uint64(n))
			here.Done()
			<-open
			due := begin.Add(after)
			for i := range bursts {
				time.Sleep(time.Until(due))
				due = due.Add(burstPeriod(n))
				bursts[i].endSleep(n)
			}
			end.Done()
		}(i)
	}
	here.Wait()
	begin = time.Now().Add(burstPeriod(n))
	close(open)
	end.Wait()
	var ns []float64
	for i := 1; i < timerBursts; i++ {
		ns = append(ns, bursts[i].ns/float64(n))
	}
	report(work, median(ns), "ns")
}

func node(depth int) {
	if depth == 0 {
		for i := 0; i < leafTurns; i++ {
		}
		return
	}
	var end sync.WaitGroup
	end.Add(2)
	for i := 0; i < 2; i++ {
		go func() {
			node(depth - 1)
			end.Done()
		}()
	}
	end.Wait()
}

func tree(work string, n int) {
	runtime.GOMAXPROCS(n)
	var ns []float64
	for i := 0; i <= treeRounds; i++ {
		start := time.Now()
		node(treeDepth)
		ns = append(ns, float64(time.Since(start))/treeFibers)
	}
	report(work, median(ns[1:]), "ns")
}

// A name that ends in "-" takes a number behind it.
var works = []struct {
	name string
	run  func(work string, n int)
}{
	{"yield-", yield},
	{"spawn-join", spawn},
	{"spawn-join-free", spawnFree},
	{"channel-one-server", channelOne},
	{"channel-two-servers", channelTwo},
	{"mutex-uncontended", mutex},
	{"parked-fiber-bytes", parked},
	{"sleepers-", sleepers},
	{"timers-", timers},
	{"servers-", tree},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for _, w := range works {
			fmt.Println(w.name, 0)
		}
		return
	}
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Printf("usage: %s WORK | --list\n"+
			"Measures a work of go once; tools/bench/run compares.\n", os.Args[0])
		if len(os.Args) == 2 && os.Args[1] == "--help" {
			return
		}
		os.Exit(2)
	}
	runtime.GOMAXPROCS(2)
	work := os.Args[1]
	for _, w := range works {
		n := 0
		if strings.HasSuffix(w.name, "-") && strings.HasPrefix(work, w.name) {
			n, _ = strconv.Atoi(work[len(w.name):])
		}
		if w.name == work || n > 0 {
			w.run(work, n)
			return
		}
	}
	fmt.Fprintf(os.Stderr, "bench: go: no work '%s'; see %s --list\n", work, os.Args[0])
	os.Exit(2)
}
