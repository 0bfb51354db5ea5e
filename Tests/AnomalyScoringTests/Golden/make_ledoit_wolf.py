"""Writes ledoit_wolf.json: scikit-learn's Ledoit-Wolf covariance and Mahalanobis distances of pseudo-random features.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1 numpy==2.4.6
    venv/bin/python make_ledoit_wolf.py > ledoit_wolf.json

The features are not stored: Knuth's MMIX linear congruential generator gives them here as in the test. As in the
product there are fewer rows than columns, and neighbouring columns are correlated.
"""

import json

import numpy
import sklearn
from sklearn.covariance import LedoitWolf

ROWS, COLUMNS, PROBES = 30, 48, 5

state = 7


def uniform():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 11) * 2.0**-53


def vector():
    noise = [uniform() for _ in range(COLUMNS)]
    return [noise[i] * (1 + i % 7) + (noise[i - 1] * 3 if i % 2 else 0) for i in range(COLUMNS)]


rows = numpy.array([vector() for _ in range(ROWS)])
probes = numpy.array([vector() for _ in range(PROBES)])
estimate = LedoitWolf().fit(rows)
golden = {
    "scikit-learn": sklearn.__version__,
    "shrinkage": estimate.shrinkage_,
    "diagonal": estimate.covariance_.diagonal().tolist(),
    "firstRow": estimate.covariance_[0].tolist(),
    "distances": numpy.sqrt(estimate.mahalanobis(probes)).tolist(),
}
print(json.dumps(golden, indent=0))
