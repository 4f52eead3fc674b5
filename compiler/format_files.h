/* format_files.h - `cnnc --format`: files, or the standard input, as syntax/format.h writes them. */
#ifndef FORMAT_FILES_H
#define FORMAT_FILES_H

#include "options.h"

/* What the options say of o->files.  The exit status. */
int format_files(const struct options *o);

#endif
