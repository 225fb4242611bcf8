/* Trains a network that reads handwritten digits, in C alone: the training step is one function of a library that
 * digits.py makes, and this program holds the weights, shuffles the digits and counts the right answers.
 *
 *     digits [FILE]        by default digits.bin
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "digits.h"

#define PIXELS 64
#define HIDDEN 48
#define BATCH 32
#define EPOCHS 30
#define MOST 2048 /* digits in the file */
#define RATE 0.1f

typedef struct {
    float hidden[PIXELS * HIDDEN], hidden_bias[HIDDEN], out[HIDDEN * 10], out_bias[10];
} parameters;

static float x[MOST][PIXELS];
static int32_t labels[MOST];
static int32_t trained, held_out;

/* The weights and their velocity, which a training step updates in place. */
static parameters w, v;

static unsigned char train_memory[DIGITS_TRAIN_WORKSPACE_SIZE + 64];
static unsigned char classify_memory[DIGITS_CLASSIFY_WORKSPACE_SIZE(MOST) + 64];

static void *aligned(unsigned char *memory)
{
    return memory + (64 - (uintptr_t)memory % 64) % 64;
}

/* Numbers from 0 to 1, the same in every run: xorshift64 (Marsaglia, 2003). */
static double chance(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53;
}

static void first_weights(float *weights, int count, double spread)
{
    for (int k = 0; k < count; k++) {
        weights[k] = (float)(spread * (chance() + chance() + chance() - 1.5) * 2.0);
    }
}

static int read_digits(const char *path)
{
    FILE *file = fopen(path, "rb");
    int32_t counts[2];
    if (!file) {
        fprintf(stderr, "%s cannot be read\n", path);
        return 0;
    }
    int whole = fread(counts, sizeof counts, 1, file) == 1;
    trained = whole ? counts[0] : 0;
    held_out = whole ? counts[1] : 0;
    size_t total = (size_t)trained + (size_t)held_out;
    whole = trained >= BATCH && held_out > 0 && total <= MOST;
    whole = whole && fread(x, sizeof x[0], total, file) == total;
    whole = whole && fread(labels, sizeof labels[0], total, file) == total;
    fclose(file);
    if (!whole) {
        fprintf(stderr, "%s does not hold digits\n", path);
    }
    return whole;
}

/* One pass over the digits in a new order; gives the mean loss, or a negative number where a step fails. */
static double epoch(float rate)
{
    static int order[MOST];
    static float batch_x[BATCH][PIXELS];
    static int32_t batch_labels[BATCH];
    double sum = 0.0;
    int steps = trained / BATCH;
    for (int k = 0; k < trained; k++) {
        int other = (int)(chance() * (k + 1));
        order[k] = order[other];
        order[other] = k;
    }
    for (int step = 0; step < steps; step++) {
        for (int k = 0; k < BATCH; k++) {
            memcpy(batch_x[k], x[order[step * BATCH + k]], sizeof batch_x[k]);
            batch_labels[k] = labels[order[step * BATCH + k]];
        }
        float loss;
        digits_train_status status = digits_train(
            w.hidden, w.hidden_bias, w.out, w.out_bias, v.hidden, v.hidden_bias, v.out, v.out_bias,
            batch_x[0], batch_labels, rate, &loss, w.hidden, w.hidden_bias, w.out, w.out_bias,
            v.hidden, v.hidden_bias, v.out, v.out_bias, aligned(train_memory));
        if (status != DIGITS_TRAIN_OK) {
            fprintf(stderr, "a training step failed with status %d\n", (int)status);
            return -1.0;
        }
        sum += loss;
    }
    return sum / steps;
}

/* How many of the digits that were held out are read correctly. */
static int right(void)
{
    static int64_t answers[MOST];
    int found = 0;
    digits_classify((size_t)held_out, w.hidden, w.hidden_bias, w.out, w.out_bias, x[trained], answers,
                    aligned(classify_memory));
    for (int k = 0; k < held_out; k++) {
        found += answers[k] == labels[trained + k];
    }
    return found;
}

int main(int count, char **arguments)
{
    if (!read_digits(count > 1 ? arguments[1] : "digits.bin")) {
        return EXIT_FAILURE;
    }
    first_weights(w.hidden, PIXELS * HIDDEN, 0.125);
    first_weights(w.out, HIDDEN * 10, 0.144);
    for (int k = 0; k < EPOCHS; k++) {
        double loss = epoch(RATE * (float)(EPOCHS - k) / EPOCHS);
        if (loss < 0.0) {
            return EXIT_FAILURE;
        }
        if (k % 5 == 4) {
            printf("epoch %2d  loss %.4f  %5.1f%% of %d held-out digits are read correctly\n", k + 1, loss,
                   100.0 * right() / held_out, (int)held_out);
        }
    }
    return EXIT_SUCCESS;
}
