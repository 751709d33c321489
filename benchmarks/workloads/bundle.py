"""Bundle adjustment, as in ADBench, float64: the 2 x 15 Jacobian block of each of 31,843 reprojections, by vmap.

An observation has a camera of 11 numbers (rotation vector 3, centre 3, focal length, principal point 2, radial distortion 2),
a point of 3, a weight, and the place where it was seen.  error = weight (f d(r²) p + principal - seen), p the first two over the
third coordinate of R (point - centre), R by Rodrigues' formula, d = 1 + k1 r² + k2 r⁴, r² = |p|².  The block has the camera's 11
columns, the point's 3, and the weight's.  There are as many cameras (49) and points (7,776) as in ADBench's first problem, drawn
at random, and each observation's were looked up before.

All by reverse mode, two rows a block, which was the faster of the two in every system.

**Source** as of `mixture`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.workload import Inputs, Step, Workload

OBSERVATIONS, CAMERAS, POINTS = 31_843, 49, 7_776


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    cameras = np.empty((CAMERAS, 11))
    cameras[:, :3] = 0.3 * rng.standard_normal((CAMERAS, 3))
    cameras[:, 3:6] = 0.5 * rng.standard_normal((CAMERAS, 3)) - (0.0, 0.0, 6.0)
    cameras[:, 6] = rng.uniform(400.0, 600.0, CAMERAS)
    cameras[:, 7:9] = rng.standard_normal((CAMERAS, 2))
    cameras[:, 9:] = rng.standard_normal((CAMERAS, 2)) * (1e-1, 1e-2)
    points = rng.uniform(-1.0, 1.0, (POINTS, 3))
    return {
        "camera": cameras[rng.integers(0, CAMERAS, OBSERVATIONS)],
        "point": points[rng.integers(0, POINTS, OBSERVATIONS)],
        "weight": rng.uniform(0.5, 1.5, OBSERVATIONS),
        "seen": 100.0 * rng.standard_normal((OBSERVATIONS, 2)),
    }


def error_in(m: Any, cross: Any) -> Any:
    """Of one observation, in any of the systems."""

    def error(camera: Any, point: Any, weight: Any, seen: Any) -> Any:
        rotation, centre, focal, principal, radial = camera[:3], camera[3:6], camera[6], camera[7:9], camera[9:]
        x = point - centre
        angle = m.sqrt(m.sum(rotation * rotation))
        axis = rotation / angle
        turned = x * m.cos(angle) + cross(axis, x) * m.sin(angle) + axis * (m.sum(axis * x) * (1.0 - m.cos(angle)))
        p = turned[:2] / turned[2]
        square = m.sum(p * p)
        distorted = p * (1.0 + radial[0] * square + radial[1] * square * square)
        return weight * (distorted * focal + principal - seen)

    return error


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step, operands = compiled(ad.vmap(ad.jacrev(error_in(ad, ad.cross), (0, 1, 2)))), [ad.tensor(x) for x in arrays.values()]
    return Step(lambda: step(*operands))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    blocks = torch.func.vmap(torch.func.jacrev(error_in(torch, torch.linalg.cross), (0, 1, 2)))
    operands = [torch.tensor(x) for x in arrays.values()]
    step = optimized(blocks) if optimized else blocks
    return Step(lambda: step(*operands))


def in_jax(jax: Any, arrays: Inputs) -> Step:
    step = jax.jit(jax.vmap(jax.jacrev(error_in(jax.numpy, jax.numpy.cross), (0, 1, 2))))
    operands = [jax.numpy.asarray(x) for x in arrays.values()]
    return Step(lambda: jax.block_until_ready(step(*operands)))


def in_numpy(arrays: Inputs) -> Step:
    """Two rows in reverse, each operation on all observations, coordinates first."""
    camera, point, weight, seen = (np.ascontiguousarray(x.T) for x in arrays.values())

    def cross(a: Any, b: Any) -> Any:
        return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])

    def dot(a: Any, b: Any) -> Any:
        return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]

    def step() -> Any:
        rotation, focal, principal, (k1, k2) = camera[:3], camera[6], camera[7:9], camera[9:]
        x = point - camera[3:6]
        angle = np.sqrt(dot(rotation, rotation))
        axis = rotation / angle
        cos, sin = np.cos(angle), np.sin(angle)
        along, across = dot(axis, x), cross(axis, x)
        turned = x * cos + across * sin + axis * (along * (1.0 - cos))
        p = turned[:2] / turned[2]
        square = p[0] * p[0] + p[1] * p[1]
        factor, slope = 1.0 + square * (k1 + k2 * square), 2.0 * (k1 + 2.0 * k2 * square)
        by_camera, by_point = np.zeros((OBSERVATIONS, 2, 11)), np.empty((OBSERVATIONS, 2, 3))
        scale = weight * focal
        by_angle = across * cos + (axis * along - x) * sin
        for row in range(2):
            dp = scale * slope * p[row] * p
            dp[row] += scale * factor
            ct = np.stack([dp[0], dp[1], -(dp[0] * p[0] + dp[1] * p[1])]) / turned[2]
            dx = ct * cos + cross(ct, axis) * sin + axis * (dot(axis, ct) * (1.0 - cos))
            da = cross(x, ct) * sin + (1.0 - cos) * (ct * along + x * dot(axis, ct))
            dr = (da - axis * dot(axis, da)) / angle + axis * dot(ct, by_angle)
            by_point[:, row] = dx.T
            by_camera[:, row, :3], by_camera[:, row, 3:6] = dr.T, -dx.T
            by_camera[:, row, 6] = weight * factor * p[row]
            by_camera[:, row, 7 + row] = weight
            by_camera[:, row, 9] = scale * p[row] * square
            by_camera[:, row, 10] = by_camera[:, row, 9] * square
        return by_camera, by_point, (p * (factor * focal) + principal - seen).T

    return Step(step)


WORKLOADS = [
    Workload(
        key="bundle",
        title="bundle adjustment: 2 x 15 Jacobian block of each of 31,843 reprojections",
        inputs=inputs,
        goal=0.4,
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
    )
]
