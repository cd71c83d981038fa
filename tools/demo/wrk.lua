-- SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
--
-- For wrk: ask for the paths of a list, in its order, over and over, each
-- connection pausing after each reply. Say "begin" to DEMO_EVENTS, a file, at the
-- first request; at the end write the figures there, one line of JSON.
--
--   DEMO_EVENTS=FILE wrk -s wrk.lua URL -- LIST PAUSE_MS

-- There is little to run, and an emulator is slow with code that is made at run time.
if jit then
	jit.off()
end

local requests = {}
local at = 0
local pause = 0
local begun = false

local function tell(line)
	local file = assert(io.open(os.getenv("DEMO_EVENTS"), "a"))

	file:write(line, "\n")
	file:close()
end

function init(args)
	for path in io.lines(args[1]) do
		requests[#requests + 1] = wrk.format("GET", path)
	end
	pause = tonumber(args[2])
	if pause <= 0 then
		delay = nil
	end
end

function request()
	-- wrk asks for one before it starts, to learn the form.
	if at > 0 and not begun then
		begun = true
		tell("begin")
	end
	at = at % #requests + 1
	return requests[at]
end

-- Spread, or all connections would ask at the same moments.
function delay()
	return math.random(0, 2 * pause)
end

function done(summary, latency)
	local errors = summary.errors

	tell(string.format(
		'{"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, ' ..
		'"max_us": %d, "broken": %d, "timeouts": %d, "refused": %d}',
		summary.requests, summary.duration / 1e6,
		latency:percentile(50), latency:percentile(99), latency.max,
		errors.connect + errors.read + errors.write, errors.timeout,
		errors.status))
end
