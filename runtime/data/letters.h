/* letters.h - text in pictures, in small letters of this project's own. */
#ifndef LETTERS_H
#define LETTERS_H

#include <stddef.h>
#include <stdint.h>

/* Pixels of a letter with the gap behind it, and with the gap below it. */
enum { LETTER_WIDTH = 6, LETTER_HEIGHT = 10 };

/* A picture of colours, (height, width, 3). */
struct canvas {
    int width, height;
    uint8_t *pixels;
};

/* White.  0, or -1 where there is no memory. */
int rt_canvas_open(struct canvas *c, int width, int height);
void rt_canvas_close(struct canvas *c);

/* How many letters a text of UTF-8 is: what is none of ASCII's is drawn as one box. */
int rt_letters_count(const char *text);
/* Draws the first `count` letters in black, each of its pixels a square of `size`, the first one's corner at (x, y);
 * what lies outside falls off. */
void rt_letters_draw(struct canvas *c, int x, int y, int size, const char *text, int count);

/* Writes a PNG that appears whole or not at all.  0, or -1 with a message. */
int rt_canvas_write(const struct canvas *c, const char *path);

#endif
