/* main.c - runs the network's self-test, then one picture, on a microcontroller. */
#include "board.h"
#include "net.h"

static uint8_t pixels[NET_INPUTS];      /* height x width x channels: from your camera */
static float input[NET_INPUTS], output[NET_OUTPUTS];

/* A dark picture with a bright upright bar in the middle: something of a one. */
static void draw(void)
{
    for (int row = NET_HEIGHT / 5; row < NET_HEIGHT - NET_HEIGHT / 5; row++)
        for (int column = NET_WIDTH / 2 - 2; column < NET_WIDTH / 2 + 2; column++)
            for (int c = 0; c < NET_CHANNELS; c++)
                pixels[(row * NET_WIDTH + column) * NET_CHANNELS + c] = 255;
}

static int most_probable(void)
{
    int best = 0;

    for (int i = 1; i < NET_OUTPUTS; i++)
        if (output[i] > output[best])
            best = i;
    return best;
}

static void print_number(const char *before, int number)
{
    char text[16], *digit = text + sizeof text - 1;

    *digit = '\0';
    *--digit = '\n';
    do
        *--digit = (char)('0' + number % 10);
    while (number /= 10);
    board_print(before);
    board_print(digit);
}

int main(void)
{
    int wrong = net_selftest();

    if (wrong) {
        print_number("self-test: FAILED at output ", wrong);
        return 1;
    }
    board_print("self-test: passed\n");
    draw();
    net_prepare(pixels, input);
    net_predict(input, output);
    print_number("class: ", most_probable());
    return 0;
}
