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
import xgboost  # noqa: E402,F401

x = np.random.RandomState(0).randn(64, 3).astype("float32")
y = x.sum(axis=1, keepdims=True)
prediction = tf.layers.dense(tf.constant(x), 1)
loss = tf.reduce_mean((prediction - y) ** 2)
step = tf.train.GradientDescentOptimizer(0.05).minimize(loss)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    losses = [session.run([loss, step])[0] for _ in range(10)]
tf.estimator.RunConfig()
if not losses[-1] < losses[0]:
    raise SystemExit("training does not lower the loss: {}".format(losses))
print("tensorflow {} keras {} numpy {} loss {:.3f} to {:.3f}".format(
    tf.__version__, keras.__version__, np.__version__, losses[0], losses[-1]))
