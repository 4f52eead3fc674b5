/* board.h - what this example knows of its board. */
#ifndef BOARD_H
#define BOARD_H

void board_print(const char *text);
void board_exit(int status);

#endif
