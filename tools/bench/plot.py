# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""The plot of a run of tools/bench/run, by gnuplot."""

import os
import shutil
import subprocess
import sys

# How cost grows: the works' names before their numbers, and the numbers.
GROWTH = {
    "yield": (2, 10, 1000, 20000, 100000, 1000000),
    "timers": (1000, 10000, 100000, 1000000),
    "servers": (1, 2, 4, 8),
}

TITLES = {
    "yield": ("One yield among so many fibers", "fibers"),
    "timers": ("A fiber's wake-up and next sleep among so many", "sleeping fibers"),
    "servers": ("Spawn, run and join in a tree of 32767 fibers", "servers"),
}

HEADER = """\
set terminal svg size 1100,900 dynamic font "sans,12" background "white"
set output "{path}"
set multiplot layout 2,2 title "{title}" font "sans,11"
set grid
"""

BARS = """\
$bars << END
{rows}
END
set title "What ufiber takes of its bar (above 1: more than it may)"
set yrange [-1:{top}]
set logscale x 10
set xrange [0.02:*]
set xlabel "of the bar"
set arrow 1 from 1,-1 to 1,{top} nohead lc rgb "red" lw 2
plot $bars using (($2)):0:(0.02):2:($0-0.3):($0+0.3):ytic(1) with boxxyerror \\
	fillstyle solid 0.6 lc rgb "#4477aa" notitle
unset arrow 1
unset logscale
set xrange [*:*]
set yrange [*:*]
set ytics auto
"""

GROWTH_PLOT = """\
set title "{title}"
set xlabel "{xlabel}"
set ylabel "ns"
set logscale xy 10
set key top left opaque
plot {series}
unset logscale
"""


def bars_script(verdicts):
    rows = []
    for work, most, (ratio, text, word) in verdicts:
        if ratio is not None:
            rows.append(f'"{work} {text.split(" x ")[1]}" {ratio / most:.4f}')
    rows.reverse()
    return BARS.format(rows="\n".join(rows), top=len(rows)) if rows else ""


def growth_script(figures, name):
    data, series = "", []
    for system in dict.fromkeys(row["system"] for row in figures):
        points = [(n, row["value"]) for n in GROWTH[name] for row in figures
                  if row["work"] == f"{name}-{n}" and row["system"] == system]
        if len(points) < 2:
            continue
        block = f"${name}_{len(series)}"
        data += f"{block} << END\n" + "".join(f"{n} {v}\n" for n, v in points) + "END\n"
        series.append(f'{block} with linespoints lw 2 title "{system}"')
    if not series:
        return ""
    title, xlabel = TITLES[name]
    return data + GROWTH_PLOT.format(title=title, xlabel=xlabel, series=", ".join(series))


def write(figures, verdicts, path, title):
    """Draw a run; without gnuplot say so."""
    if not shutil.which("gnuplot"):
        print("bench: no plot: gnuplot is not there (Debian: gnuplot-nox)", file=sys.stderr)
        return
    script = bars_script(verdicts) + "".join(growth_script(figures, name) for name in GROWTH)
    if not script:
        return
    script = HEADER.format(path=path, title=title) + script + "unset multiplot\n"
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True)
    if done.returncode:
        print(f"bench: no plot: gnuplot: {done.stderr.strip()}", file=sys.stderr)
        return
    print(f"written to {os.path.relpath(path)}")
