/* json_text.h - JSON values as text that has been read back.
 *
 * json_dumps() of Jansson leaves out what it has no memory for and says nothing. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <jansson.h>

/* As json_dumps(), malloc'd; NULL: the text would not be the value.  17 digits give every double
 * back; `flags` says so where there are any. */
char *rt_json_print(const json_t *value, size_t flags);

#endif
