"""One real training step, so that a broken environment is found before a job finds it."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import google.cloud.storage  # noqa: E402,F401
import hypertune  # noqa: E402,F401
import keras  # noqa: E402
import numpy as np  # noqa: E402
import pandas  # noqa: E402,F401
import sklearn  # noqa: E402,F401
import tensorboard.main  # noqa: E402,F401
import tensorflow as tf  # noqa: E402

x = np.random.RandomState(0).randn(64, 3).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = tf.keras.Sequential([tf.keras.layers.Input((3,)), tf.keras.layers.Dense(1)])
model.compile("sgd", "mse")
tf.estimator.RunConfig()  # the estimator is why this version is kept
losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
if not losses[-1] < losses[0]:
    raise SystemExit(f"training does not lower the loss: {losses}")
print(f"tensorflow {tf.__version__} keras {keras.__version__} numpy {np.__version__} "
      f"loss {losses[0]:.3f} to {losses[-1]:.3f}, {len(tf.config.list_physical_devices('GPU'))} GPUs")
