"""What theory predicts without training: closed forms and kernels in float64, without torch."""
