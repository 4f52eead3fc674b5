/* numbers.c - see numbers.h. */
#include "show/numbers.h"

#include <string.h>

#include "common/summary_table.h"

const char *grouped(char *text, int64_t number)
{
    return strcpy(text, rt_grouped(number).text);
}
