/* rows_losses.h - a loss of rows.sh that is a formula, for compiler/ops/losses.c. */
const struct loss_def loss_squares = {
    .targets = TARGETS(CNN_TARGET_CLASS) | TARGETS(CNN_TARGET_VECTOR) | TARGETS(CNN_TARGET_INPUT), .metric = "accuracy",
    .formula = "weight * mean((p - y)^2)",
};
