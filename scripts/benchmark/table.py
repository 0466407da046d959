"""Rows of case, Stave's figures, the limit, and each peer's."""


class Table:
    def __init__(self, bench):
        self.bench = bench
        self.has_head = False

    def head(self):
        self.has_head = True
        peers = "".join(f"{peer.name:>15}" for peer in self.bench.peers)
        print(f"{'case':<44}{'stave':>10}{'cpu':>9}{'budget':>10}{'limit':>10}{'x limit':>9}{peers}")

    def row(self, name, own, limit=None, others=(), unit="ms", budget=None):
        """One row: `own` and `others` are costs or figures, `limit` a figure; `budget` is a figure or, as `(1.5,)`, a
        multiple of the limit."""
        if not self.has_head:
            self.head()
        figure, cpu = self.figures(own)
        limit = self.figures(limit)[0]
        if isinstance(budget, tuple):
            budget = budget[0] * limit if limit else None
        ratio = f"{figure / limit:8.2f}x" if figure and limit else f"{'-':>9}"
        mark = " !" if figure and budget and figure > budget else ""
        cells = "".join(f"{self.cell(self.figures(v)[0], figure):>15}" for v in others)
        print(f"{name + ', ' + unit:<44}{number(figure):>10}{number(cpu):>9}{number(budget):>10}{number(limit):>10}"
              f"{ratio}{cells}{mark}", flush=True)

    @staticmethod
    def figures(value):
        """Wall and CPU of a cost; a figure alone is itself."""
        if value is None:
            return None, None
        return (value.wall, value.cpu) if hasattr(value, "wall") else (value, None)

    @staticmethod
    def cell(value, own):
        return "-" if value is None else number(value) + (f" {value / own:5.1f}x" if own else "")


def number(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"
