"""Draws street networks: regular grids, grown suburbs, villages joined by country roads."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra, minimum_spanning_tree
from scipy.spatial import Delaunay

from simulation.profiles import Profile
from simulation.streets import STEP_M, Metres, Streets

Pairs = npt.NDArray[np.int64]


def draw_streets(profile: Profile, street_length_m: float, rng: np.random.Generator) -> Streets:
    """A connected network of about that total length, in the layout of the profile."""
    block_m = profile.block_m[0]
    count = max(9, int(street_length_m / (block_m * 1.45)))
    if profile.layout == "villages":
        crossings, pairs = _villages(count, block_m, rng)
    elif profile.layout == "grid":
        crossings, pairs = _grid(count, block_m, rng)
    else:
        crossings, pairs = _organic(count, block_m, rng)
    main = _main_roads(crossings, pairs, rng)
    long = _lengths(crossings, pairs) > 4 * block_m
    speed = np.where(
        main | long, profile.main_mps[0], profile.cruise_mps[0] * rng.uniform(0.85, 1.1, len(pairs))
    )
    bend = 0.02 if profile.layout == "grid" else 0.12
    lines = [_curve(crossings[a], crossings[b], float(rng.normal(0, bend)), rng) for a, b in pairs]
    degree = np.bincount(pairs.ravel(), minlength=len(crossings))
    on_main = np.bincount(pairs[main].ravel(), minlength=len(crossings)) > 0
    lights = on_main & (degree >= 3) & (rng.random(len(crossings)) < profile.light_share[0])
    return Streets(crossings, pairs, lines, speed, lights)


def _grid(count: int, block_m: float, rng: np.random.Generator) -> tuple[Metres, Pairs]:
    columns = max(3, round(np.sqrt(count * rng.uniform(0.7, 1.4))))
    rows = max(3, round(count / columns))
    x = np.cumsum(block_m * rng.lognormal(0, 0.25, columns))
    y = np.cumsum(block_m * rng.lognormal(0, 0.25, rows))
    xy = np.array([(a, b) for b in y for a in x]) + rng.normal(0, 3.0, (rows * columns, 2))
    at = np.arange(rows * columns).reshape(rows, columns)
    across = np.column_stack([at[:, :-1].ravel(), at[:, 1:].ravel()])
    up = np.column_stack([at[:-1].ravel(), at[1:].ravel()])
    return _turned(xy, rng), _thinned(xy, np.concatenate([across, up]), rng.uniform(0.8, 0.97), rng)


def _organic(count: int, block_m: float, rng: np.random.Generator) -> tuple[Metres, Pairs]:
    side = max(3, round(np.sqrt(count)))
    grid = np.array([(a, b) for a in range(side) for b in range(side)], dtype=np.float64)
    xy = (grid + rng.uniform(-0.38, 0.38, grid.shape)) * block_m * 1.05
    pairs = _neighbours(xy)
    pairs = pairs[_lengths(xy, pairs) < 2.2 * block_m]
    return xy, _thinned(xy, pairs, rng.uniform(0.3, 0.55), rng)


def _villages(count: int, block_m: float, rng: np.random.Generator) -> tuple[Metres, Pairs]:
    villages = max(3, round(count / rng.uniform(9, 16)))
    apart_m = rng.uniform(1800, 3200)
    side = int(np.ceil(np.sqrt(villages)))
    places = np.array([(a, b) for a in range(side) for b in range(side)], dtype=np.float64)[:villages]
    places = (places + rng.uniform(-0.3, 0.3, places.shape)) * apart_m
    crossings, pairs, hubs, offset = [], [], [], 0
    for place in places:
        xy, own = _organic(max(6, count // villages), block_m, rng)
        xy = xy - xy.mean(axis=0) + place
        crossings.append(xy)
        pairs.append(own + offset)
        hubs.append(offset + int(np.argmin(np.hypot(*(xy - place).T))))
        offset += len(xy)
    between = _neighbours(places) if villages > 3 else np.array([[0, 1], [1, 2]])
    between = _thinned(places, between, 0.3, rng)
    pairs.append(np.array(hubs)[between])
    return np.concatenate(crossings), np.concatenate(pairs)


def _neighbours(xy: Metres) -> Pairs:
    corners = Delaunay(xy).simplices
    pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    return np.asarray(np.unique(np.sort(pairs, axis=1), axis=0), dtype=np.int64)


def _thinned(xy: Metres, pairs: Pairs, keep_share: float, rng: np.random.Generator) -> Pairs:
    """Some of the pairs, still connecting all: a random spanning tree and a share of the rest."""
    n = len(xy)
    weight = _lengths(xy, pairs) * rng.uniform(0.5, 1.5, len(pairs))
    tree = minimum_spanning_tree(csr_array((weight, (pairs[:, 0], pairs[:, 1])), shape=(n, n))).tocoo()
    kept = {(int(a), int(b)) for a, b in zip(tree.row, tree.col, strict=True)}
    kept |= {(int(a), int(b)) for a, b in pairs[rng.random(len(pairs)) < keep_share]}
    return np.array(sorted(kept), dtype=np.int64)


def _main_roads(xy: Metres, pairs: Pairs, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Streets on the shortest ways between a few far places."""
    n = len(xy)
    graph = csr_array((_lengths(xy, pairs), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    assert connected_components(graph, directed=False)[0] == 1
    goals = rng.choice(n, size=max(3, n // 40), replace=False)
    before = dijkstra(graph, directed=False, indices=goals[:2], return_predecessors=True)[1]
    used: set[tuple[int, int]] = set()
    for row, start in enumerate(goals[:2]):
        for goal in goals:
            here = int(goal)
            while here != start:
                prior = int(before[row, here])
                used.add((min(prior, here), max(prior, here)))
                here = prior
    return np.array([(min(a, b), max(a, b)) in used for a, b in pairs.tolist()])


def _lengths(xy: Metres, pairs: Pairs) -> Metres:
    return np.asarray(np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T))


def _curve(a: Metres, b: Metres, bend: float, rng: np.random.Generator) -> Metres:
    """A gently bent line from a to b, a point every STEP_M; a long one winds."""
    length = float(np.hypot(*(b - a)))
    count = max(2, int(np.ceil(length / STEP_M)) + 1)
    t = np.linspace(0, 1, count)
    side = np.array([-(b - a)[1], (b - a)[0]])
    waves = bend * np.sin(np.pi * t)
    if length > 600:
        waves = waves + rng.normal(0, 0.03) * np.sin(np.pi * t * rng.integers(2, 6))
    return np.asarray(a + np.outer(t, b - a) + np.outer(waves, side))


def _turned(xy: Metres, rng: np.random.Generator) -> Metres:
    angle = rng.uniform(0, np.pi / 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(xy @ turn.T)
