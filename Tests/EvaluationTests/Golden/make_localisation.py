"""Writes localisation.json: AUPRO, AU-sPRO and pixel AUROC of pseudo-random maps and masks, by their definitions.

    python3 make_localisation.py > localisation.json        # numpy 2.4.6, scipy 1.17.1

Every distinct score is a threshold, every threshold looks at every pixel; the curve is integrated by numpy and the
regions are labelled by scipy. Maps and masks are not stored: Knuth's MMIX linear congruential generator gives them here
as in the test. One set of maps has few levels, so that most scores are tied, the other has hardly a tie.
"""

import json

import numpy
import scipy.ndimage

WIDTH, HEIGHT = 17, 13
LIMITS = [0.01, 0.05, 0.1, 0.3, 1.0]
SATURATIONS = {255: (5, False), 254: (12, False), 253: (0.5, True), 252: (1.0, True)}
KINDS = ["good", "logical_anomalies", "structural_anomalies"]

state = 0


def below(bound):
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 33) % bound


def noise_mask():
    """Single pixels and clusters that often meet at corners only."""
    return numpy.array([[below(100) < 14 for _ in range(WIDTH)] for _ in range(HEIGHT)])


def rectangle():
    mask = numpy.zeros((HEIGHT, WIDTH), bool)
    top, left = below(HEIGHT - 1), below(WIDTH)
    # At least two pixels, so that half of them is one.
    mask[top : top + 2 + below(5), left : left + 1 + below(6)] = True
    return mask


def anomaly_map(mask, levels):
    raised = levels // 4
    return numpy.array(
        [[(below(levels) + (raised if mask[y, x] else 0) - raised) / 64 for x in range(WIDTH)] for y in range(HEIGHT)]
    )


def saturation(value, area):
    threshold, is_relative = SATURATIONS[value]
    return int(threshold * area) if is_relative else min(threshold, area)


def picture(layout, kind, levels):
    """A map and its regions, each with its saturation."""
    if kind == "good":
        regions = []
    elif layout == "ad":
        labels, count = scipy.ndimage.label(noise_mask(), structure=numpy.ones((3, 3)))
        regions = [labels == i + 1 for i in range(count)]
        regions = [(region, region.sum()) for region in regions]
    else:
        regions = []
        for _ in range(1 + below(3)):
            value = 255 - below(4)
            mask = rectangle()
            regions.append((mask, saturation(value, int(mask.sum()))))
    union = numpy.zeros((HEIGHT, WIDTH), bool)
    for region, _ in regions:
        union |= region
    return anomaly_map(union, levels), regions, union


def figures(pictures):
    scores = numpy.unique(numpy.concatenate([m.ravel() for m, _, _ in pictures]))[::-1]
    defect_free = sum((~union).sum() for _, _, union in pictures)
    defective = sum(union.sum() for _, _, union in pictures)
    rates, overlaps, hits = [0.0], [0.0], [0.0]
    for score in scores:
        rates.append(sum((~u & (m >= score)).sum() for m, _, u in pictures) / defect_free)
        hits.append(sum((u & (m >= score)).sum() for m, _, u in pictures) / defective)
        overlaps.append(
            numpy.mean([min((r & (m >= score)).sum() / s, 1) for m, regions, _ in pictures for r, s in regions])
        )
    rates, overlaps, hits = map(numpy.array, (rates, overlaps, hits))
    areas = []
    for limit in LIMITS:
        inside = rates <= limit
        xs = numpy.append(rates[inside], limit)
        # Where the curve goes straight up at the limit, its highest point there counts, which is the last inside.
        at_limit = overlaps[inside][-1] if rates[inside][-1] == limit else numpy.interp(limit, rates, overlaps)
        ys = numpy.append(overlaps[inside], at_limit)
        areas.append(float(numpy.trapezoid(ys, xs) / limit))
    return {"regions": sum(len(r) for _, r, _ in pictures), "overlap": areas,
            "pixelAUROC": float(numpy.trapezoid(hits, rates))}


cases = []
for layout, levels, seed in [("ad", 40, 1), ("ad", 1 << 20, 2), ("loco", 40, 3), ("loco", 1 << 20, 4)]:
    state = seed
    pictures = [(kind, picture(layout, kind, levels)) for kind in KINDS for _ in range(4)]
    chosen = {"all": KINDS, **{kind: ["good", kind] for kind in KINDS[1:]}}
    cases.append({
        "layout": layout, "levels": levels, "seed": seed,
        "figures": {name: figures([p for kind, p in pictures if kind in kinds]) for name, kinds in chosen.items()},
    })
print(json.dumps({"numpy": numpy.__version__, "scipy": scipy.__version__, "limits": LIMITS, "cases": cases}, indent=1))
