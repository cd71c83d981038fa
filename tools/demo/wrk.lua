-- SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
--
-- For wrk: ask for the paths of a list, in its order, over and over, each
-- connection pausing after each reply; at the end write the figures as JSON.
--
--   DEMO_RESULT=FILE wrk -s wrk.lua URL -- LIST PAUSE_MS

-- There is little to run, and an emulator is slow with code that is made at run time.
if jit then
	jit.off()
end

local requests = {}
local at = 0
local pause = 0

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
	at = at % #requests + 1
	return requests[at]
end

-- Spread, or all connections would ask at the same moments.
function delay()
	return math.random(0, 2 * pause)
end

function done(summary, latency)
	local errors = summary.errors
	local file = assert(io.open(os.getenv("DEMO_RESULT"), "w"))

	file:write(string.format(
		'{"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, ' ..
		'"max_us": %d, "broken": %d, "timeouts": %d, "refused": %d}\n',
		summary.requests, summary.duration / 1e6,
		latency:percentile(50), latency:percentile(99), latency.max,
		errors.connect + errors.read + errors.write, errors.timeout,
		errors.status))
	file:close()
end
