/* file_template.h - names of files with fields in braces, which numbers take the place of, as in Keras:
 * "w{epoch:02d}-{val_loss:.4f}.st".  Compiler and trainer read them with the same code. */
#ifndef FILE_TEMPLATE_H
#define FILE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

enum { TEMPLATE_LENGTH_MAX = 1000 };

enum template_kind { TEMPLATE_TEXT, TEMPLATE_FIELD, TEMPLATE_WRONG };

/* A character as it is, or a field. */
struct template_piece {
    enum template_kind kind;
    const char *start, *end;    /* in the template */
    char character;
    const char *name;           /* of the value, in the template */
    size_t name_length;
    char sign;                  /* '+' or ' ' before what is not negative, or 0 */
    bool zeros;                 /* before the number, up to its width */
    int width, precision;       /* precision -1: none */
    char type;                  /* of d e E f F g G %, or 0 */
    const char *wrong;          /* why it cannot be read */
};

/* Reads the piece at `at`.  False at the end. */
bool rt_template_next(const char *at, struct template_piece *piece);
/* Whether the field's name is this one. */
bool rt_template_names(const struct template_piece *piece, const char *name);
/* NULL, or why the field cannot show a whole number, or another one. */
const char *rt_template_fault(const struct template_piece *piece, bool whole);

/* The number that a field shows.  False: there is none. */
typedef bool template_value(void *user, const struct template_piece *field, double *value, bool *whole);
/* The name with every field replaced, malloc'd; NULL: no memory, or not to be expanded. */
char *rt_template_expand(const char *text, template_value *value, void *user);

/* How the names that two templates may give can meet, letters of either case taken for one. */
enum template_meeting {
    TEMPLATES_APART,
    TEMPLATES_SAME,             /* one name */
    TEMPLATES_INSIDE,           /* the first in a folder of the second's name */
    TEMPLATES_AROUND            /* the other way round */
};
enum template_meeting rt_templates_meet(const char *a, const char *b);
/* Whether a template may give this name. */
bool rt_template_gives(const char *text, const char *name);

#endif
