"""One real training, so that a broken environment is found before a job finds it."""
import google.cloud.storage  # noqa: F401
import hypertune  # noqa: F401
import pandas  # noqa: F401
import xgboost
from sklearn.datasets import load_digits

pixels, labels = load_digits(return_X_y=True)
model = xgboost.XGBClassifier(n_estimators=10, max_depth=3).fit(pixels[:1000], labels[:1000])
accuracy = float((model.predict(pixels[1000:]) == labels[1000:]).mean())
if not accuracy > 0.7:
    raise SystemExit(f"a trained model reads only {accuracy:.3f} of the digits")
print(f"xgboost {xgboost.__version__} accuracy {accuracy:.3f}")
