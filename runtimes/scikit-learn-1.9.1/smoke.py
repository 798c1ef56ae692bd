"""One real training, so that a broken environment is found before a job finds it."""
import google.cloud.storage  # noqa: F401
import hypertune  # noqa: F401
import numpy as np
import pandas  # noqa: F401
import sklearn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

pixels, labels = load_digits(return_X_y=True)
model = LogisticRegression(max_iter=50, tol=0.01).fit(pixels[:1000] / 16, labels[:1000])
accuracy = model.score(pixels[1000:] / 16, labels[1000:])
if not accuracy > 0.8:
    raise SystemExit(f"a trained model reads only {accuracy:.3f} of the digits")
print(f"scikit-learn {sklearn.__version__} numpy {np.__version__} accuracy {accuracy:.3f}")
