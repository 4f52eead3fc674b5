/* format.h - a .cnn file as it is best read: one indentation, one way of spacing, comments in columns. */
#ifndef FORMAT_H
#define FORMAT_H

#include "base/diag.h"
#include "base/source.h"

/* The text of the file, formatted, with every comment.  What it says is what the file says, and formatted again it
 * stays the same.  Names and meanings are not looked at.  NULL where the file has errors of syntax, which go to d;
 * without an error in d: what was written says something else, which is a fault of ours. */
const char *format_source(struct arena *a, const struct source *source, struct diag *d);

#endif
