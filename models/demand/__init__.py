"""Weekly demand of a merchant's category: an LSTM and a LightGBM beside simple rules, behind the gate.

`training.train` measures and saves, `scoring.forecast` publishes. torch, lightning, lightgbm and matplotlib
are imported inside functions or in modules (`lstm`, `lstm_fit`, `boosting`) that are only imported lazily.
"""
