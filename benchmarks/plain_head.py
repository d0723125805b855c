"""The plain way of training a head: PyTorch, fed by a DataLoader.

As a program it trains one head on embeddings in CSV files, the label in the last column, and prints what
`plain_head` returns: `python benchmarks/plain_head.py TRAIN.csv TEST.csv EPOCHS`.
"""

import sys

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Rows = tuple[np.ndarray, np.ndarray]


def plain_head(train: Rows, test: Rows, epochs: int) -> list[float]:
    """Train with the recipe of `eos.heads.softmax.HeadConfig`, score train and test rows after every epoch.

    Returns
    -------
    list of float
        The mean loss of each epoch, and the balanced accuracy on the test rows after the last.
    """
    torch.manual_seed(0)
    n_classes = int(train[1].max()) + 1
    layer, loss_of = nn.Linear(train[0].shape[1], n_classes), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    batches, in_order, test_batches = _loader(train, shuffle=True), _loader(train), _loader(test)
    losses, accuracy = [], 0.0
    for epoch in range(1, epochs + 1):
        optimizer.param_groups[0]["lr"] = 0.1 * min(1.0, epoch / 5)
        total = 0.0
        for features, labels in batches:
            optimizer.zero_grad()
            loss = loss_of(layer(features), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        losses.append(total / len(train[1]))
        _accuracy(layer, in_order, n_classes)
        accuracy = _accuracy(layer, test_batches, n_classes)
    return [*losses, accuracy]


def _loader(rows: Rows, *, shuffle: bool = False) -> DataLoader[tuple[Tensor, ...]]:
    dataset = TensorDataset(torch.from_numpy(rows[0]), torch.from_numpy(rows[1]))
    return DataLoader(dataset, batch_size=128, shuffle=shuffle)


@torch.no_grad()
def _accuracy(layer: nn.Module, batches: DataLoader[tuple[Tensor, ...]], n_classes: int) -> float:
    hits, members = torch.zeros(n_classes), torch.zeros(n_classes)
    for features, labels in batches:
        right = layer(features).argmax(dim=1) == labels
        hits += torch.bincount(labels[right], minlength=n_classes)
        members += torch.bincount(labels, minlength=n_classes)
    return float((hits / members).mean())


def _read(path: str) -> Rows:
    import pandas as pd

    table = pd.read_csv(path, header=None).to_numpy()
    return table[:, :-1].astype(np.float32), table[:, -1].astype(np.int64)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(*plain_head(_read(sys.argv[1]), _read(sys.argv[2]), int(sys.argv[3])))
