"""The census data that the training tests learn from: the UCI Adult files, or rows made like them."""
import gzip
import math
import os
import random
from pathlib import Path

from .notes import note
from .server import REPOSITORY

FILES = ("adult.train.csv.gz", "adult.eval.csv.gz")

# Each value with its weight and what it does to the odds of a large income.
WORKCLASS = [("Private", 70, 0.0), ("Self-emp-not-inc", 8, -0.4), ("Local-gov", 6, 0.0),
             ("?", 6, -0.3), ("State-gov", 4, 0.0), ("Self-emp-inc", 3, 0.6),
             ("Federal-gov", 3, 0.7)]
EDUCATION = [("HS-grad", 9, 32), ("Some-college", 10, 22), ("Bachelors", 13, 16), ("Masters", 14, 5),
             ("Assoc-voc", 11, 4), ("11th", 7, 4), ("Assoc-acdm", 12, 3), ("10th", 6, 3),
             ("7th-8th", 4, 2), ("Prof-school", 15, 2), ("Doctorate", 16, 1)]
MARITAL = [("Married-civ-spouse", 46, 3.4), ("Never-married", 33, -0.8), ("Divorced", 14, 0.0),
           ("Separated", 3, -0.3), ("Widowed", 3, -0.2)]
OCCUPATION = [("Prof-specialty", 13, 0.8), ("Craft-repair", 13, 0.0), ("Exec-managerial", 12, 1.4),
              ("Adm-clerical", 12, 0.0), ("Sales", 11, 0.4), ("Other-service", 10, -1.4),
              ("Machine-op-inspct", 6, -0.5), ("?", 6, -0.3), ("Transport-moving", 5, -0.2),
              ("Handlers-cleaners", 4, -1.2), ("Farming-fishing", 3, -1.5),
              ("Tech-support", 3, 0.8)]
RACE = [("White", 85, 0.0), ("Black", 10, 0.0), ("Asian-Pac-Islander", 3, 0.0), ("Other", 2, 0.0)]
COUNTRY = [("United-States", 90, 0.0), ("Mexico", 4, -0.5), ("?", 2, 0.0), ("Philippines", 2, 0.0),
           ("Germany", 1, 0.0), ("Canada", 1, 0.0)]


def _draw(chance, values):
    return chance.choices(values, [weight for _, weight, _ in values])[0]


def _row(chance):
    age = min(90, max(17, round(chance.gauss(38.6, 13.6))))
    workclass, _, by_workclass = _draw(chance, WORKCLASS)
    education, years, _ = chance.choices(EDUCATION, [weight for _, _, weight in EDUCATION])[0]
    marital, _, by_marital = _draw(chance, MARITAL)
    occupation, _, by_occupation = _draw(chance, OCCUPATION)
    gender = chance.choices(["Male", "Female"], [67, 33])[0]
    if marital == "Married-civ-spouse":
        relationship = "Husband" if gender == "Male" else "Wife"
    else:
        relationship = chance.choices(["Not-in-family", "Own-child", "Unmarried"], [50, 30, 20])[0]
    gain = round(chance.lognormvariate(8.6, 1.0)) if chance.random() < 0.08 else 0
    loss = round(chance.gauss(1870, 300)) if chance.random() < 0.05 else 0
    hours = min(99, max(1, round(chance.choice([40, 40, chance.gauss(41, 14)]))))
    country, _, by_country = _draw(chance, COUNTRY)
    odds = (-4.0 + by_workclass + by_marital + by_occupation + by_country +
            0.42 * (years - 10) + 0.03 * (min(age, 58) - 38) + 0.035 * (hours - 40) +
            (5.0 if gain > 5000 else 0.0) + (1.5 if loss > 1800 else 0.0))
    rich = chance.random() < 1 / (1 + math.exp(-1.4 * odds))
    return (f"{age},{workclass},{chance.randint(20000, 400000)},{education},{years},{marital},"
            f"{occupation},{relationship},{_draw(chance, RACE)[0]},{gender},{gain},{loss},{hours},"
            f"{country},{'>50K' if rich else '<=50K'}\n")


def _write(path, rows, seed):
    chance = random.Random(seed)
    with gzip.open(path, "wt", compresslevel=1) as out:
        out.writelines(_row(chance) for _ in range(rows))
    return path


def census_files(folder):
    """Paths of the training and the evaluation file; made in `folder` when there are none.

    They are looked for in $CLOUDML_TEST_DATA/census, else beside the repository.
    """
    named = os.environ.get("CLOUDML_TEST_DATA")
    data = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    found = [data / "census" / name for name in FILES]
    if all(path.is_file() for path in found):
        return found
    note(f"census data: no {FILES[0]} and {FILES[1]} in {data / 'census'}, made like them instead")
    return [_write(folder / name, rows, seed)
            for name, rows, seed in zip(FILES, (32561, 16281), (1, 2))]
