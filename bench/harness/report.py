"""What an item found: our figure, those of others, and the goals between them."""
import statistics
from dataclasses import asdict, dataclass, field


def interleaved(rounds, contestants):
    """Calls each contestant in turn, `rounds` times; {name: [figures]}."""
    figures = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, measure in contestants.items():
            figures[name].append(measure())
    return figures


def median(figures):
    return statistics.median(figures)


def percentile(figures, q):
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


@dataclass
class Goal:
    against: str      # a peer, the floor, or "a limit"
    figure: float     # theirs, or the limit itself
    ratio: float
    wanted: str       # "≥ 0.7"
    reached: bool


@dataclass
class Measure:
    what: str
    unit: str
    ours: float
    rounds: list = field(default_factory=list)
    goals: list = field(default_factory=list)
    others: dict = field(default_factory=dict)  # figures without a goal
    note: str = ""

    def at_least(self, factor, whose, figure):
        ratio = self.ours / figure if figure else float("inf")
        self.goals.append(Goal(whose, figure, ratio, f"≥ {factor:g}", ratio >= factor))
        return self

    def at_most(self, factor, whose, figure):
        ratio = self.ours / figure if figure else float("inf")
        self.goals.append(Goal(whose, figure, ratio, f"≤ {factor:.3g}", ratio <= factor))
        return self

    def limit(self, most):
        """Our figure itself may be at most this."""
        self.goals.append(Goal("limit", most, self.ours / most, f"≤ {most:g} {self.unit}",
                               self.ours <= most))
        return self

    def beside(self, name, figure):
        self.others[name] = figure
        return self

    def text(self):
        lines = [f"{self.what:<58} {number(self.ours):>10} {self.unit}"]
        for g in self.goals:
            verdict = "reached" if g.reached else "MISSED"
            lines.append(f"  {g.against:<56} {number(g.figure):>10} {self.unit:<5} ratio "
                         f"{g.ratio:<7.3g} goal {g.wanted:<10} {verdict}")
        for name, figure in self.others.items():
            lines.append(f"  {name:<56} {number(figure):>10} {self.unit}")
        if self.note:
            lines.append(f"  {self.note}")
        return "\n".join(lines)

    def as_json(self):
        return asdict(self)


def number(x):
    if x >= 1000:
        return f"{x:,.0f}"
    return f"{x:.3g}" if x < 100 else f"{x:.0f}"
