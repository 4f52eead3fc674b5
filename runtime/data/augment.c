/* augment.c - the rows of data_steps.def that draw. */
#include "data/augment.h"

#include <string.h>


#ifdef CNN_TEST_ROWS            /* tests/behave/rows.sh */
#include "rows_augment.h"
#endif

static const struct {
    const char *name;
    augment_function *apply;
} rows[] = {
#define CHOOSES(step)
#define FITS(step)
#define AUGMENTS(step) { #step, augment_##step },
#define MAPS(step)
#include "common/data_steps.def"
#undef CHOOSES
#undef FITS
#undef AUGMENTS
#undef MAPS
    { NULL, NULL }
};

augment_function *rt_augment(const char *name)
{
    for (size_t i = 0; rows[i].name; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].apply;
    return NULL;
}
