"""Write fit.c and fit.h: one Adam step of a network 1-16-1, gradient included, for a program in C to call."""

import numpy as np

import arrayad as ad

BATCH, HIDDEN = 64, 16
w1, b1 = (
    ad.tensor(np.zeros((1, HIDDEN), np.float32), requires_grad=True),
    ad.tensor(np.zeros(HIDDEN, np.float32), requires_grad=True),
)
w2, b2 = (
    ad.tensor(np.zeros((HIDDEN, 1), np.float32), requires_grad=True),
    ad.tensor(np.zeros(1, np.float32), requires_grad=True),
)
optimizer = ad.optim.Adam([w1, b1, w2, b2], lr=0.01)


@ad.compile
def fit(x, y):
    """One step on a batch of numbers x and y, both of shape (BATCH, 1); the loss before it."""
    optimizer.zero_grad()
    loss = ad.mean((ad.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2)
    loss.backward()
    optimizer.step()
    return loss


if __name__ == "__main__":
    fit(np.zeros((BATCH, 1), np.float32), np.zeros((BATCH, 1), np.float32))  # the trace
    fit.export("fit.c", constants=True)  # the learning rate and the like are data, not inputs
    print("fit.c and fit.h are written")
