/* check_checkpoint.c - the file of a checkpoint: a name in the run folder, perhaps with fields that values of the log
 * take the place of, which meets no other file that the run writes. */
#include "check/check_parts.h"

#include <string.h>

#include "common/file_template.h"

/* What the trainer itself keeps in the run folder; a field stands for a number. */
static const char *const run_files[] = {
    "recipe.cnn", "recipe.{epoch}.cnn", "log", "history.csv", "history.svg", "last.safetensors", "best.safetensors",
    "state.safetensors", "state.previous.safetensors", NULL
};

enum { FOLDER_NAME_MAX = 200 };     /* file systems take 255 bytes, of which a number takes its part */

/* The name without what does not change its place: "./", "a//b". */
static const char *place_of(struct check *c, const char *file)
{
    char *place = arena_array(c->arena, strlen(file) + 1, sizeof *place), *end = place;

    for (size_t length; *file; file += length) {
        length = strspn(file, "/");
        if (length)
            continue;
        length = strcspn(file, "/");
        bool here = length == 1 && *file == '.';
        if (here)
            continue;
        if (end > place)
            *end++ = '/';
        memcpy(end, file, length);
        end += length;
    }
    *end = '\0';
    return place;
}

/* NULL, or what is wrong with a name as such. */
static const char *name_fault(const char *file)
{
    size_t length = strlen(file);

    if (length == 0 || file[length - 1] == '/' || !strcmp(file, ".") ||
        (length > 1 && !strcmp(file + length - 2, "/.")))
        return "names no file";
    if (file[0] == '/')
        return "leads out of the run folder, which keeps the files of a run together";
    for (const char *at = file; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return "has a character that no name of a file should have";
    for (const char *at = file; *at; at += strspn(at, "/")) {
        size_t part = strcspn(at, "/");
        if (part == 2 && !strncmp(at, "..", 2))
            return "leads out of the run folder, or in a circle: '..' has no place in it";
        if (part > FOLDER_NAME_MAX || length > TEMPLATE_LENGTH_MAX - 1)
            return "is longer than a file system takes";
        at += part;
    }
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    if (base[0] == '.' && strlen(base) > 4 && !strcmp(base + strlen(base) - 4, ".tmp"))
        return "is how files are called that are not whole yet, and are removed";
    return NULL;
}

/* Whether the log has a value for the field; false: reported. */
static bool field_fits(struct check *c, const struct arg_value *file, const struct template_piece *p)
{
    struct names names = {.arena = c->arena};
    const char *field = arena_printf(c->arena, "%.*s", (int)(p->end - p->start), p->start);
    const char *fault = p->wrong;
    bool known = fault || rt_template_names(p, "epoch") || rt_template_names(p, "lr");

    names_add(&names, "epoch");
    names_add(&names, "lr");
    for (int i = 0; i < c->monitors_count; i++) {
        names_add(&names, c->monitors[i].name);
        known = known || rt_template_names(p, c->monitors[i].name);
    }
    if (!known && c->metrics_broken)
        return false;
    if (!known) {
        const char *name = arena_printf(c->arena, "%.*s", (int)p->name_length, p->name);
        diag_error(c->diag, DIAG_bad_file, file->where, "'%s' in a checkpoint's name cannot be expanded: no value of "
                   "the log is called '%s'", field, name);
        names_add(&names, NULL);
        diag_hint(c->diag, "this recipe has %s", check_join_words(c->arena, names.items));
        return false;
    }
    if (!fault)
        fault = rt_template_fault(p, rt_template_names(p, "epoch"));
    if (fault)
        diag_error(c->diag, DIAG_bad_file, file->where, "'%s' in a checkpoint's name cannot be expanded: %s", field,
                   fault);
    return !fault;
}

static bool fields_fit(struct check *c, const struct arg_value *file)
{
    struct template_piece p;

    for (const char *at = file->text; rt_template_next(at, &p); at = p.end)
        if (p.kind != TEMPLATE_TEXT && !field_fits(c, file, &p))
            return false;
    return true;
}

/* Whether it meets no file of the run; false: reported. */
static bool apart_from_run(struct check *c, const struct arg_value *file)
{
    for (int i = 0; run_files[i]; i++) {
        enum template_meeting meeting = rt_templates_meet(file->text, run_files[i]);
        if (meeting == TEMPLATES_APART || meeting == TEMPLATES_AROUND)
            continue;
        const char *name = i == 1 ? "recipe.1.cnn" : run_files[i];
        if (meeting == TEMPLATES_INSIDE)
            diag_error(c->diag, DIAG_bad_file, file->where, "'%s' makes a folder of '%s', a file that every run keeps",
                       file->text, name);
        else if (!strcmp(file->text, name))
            diag_error(c->diag, DIAG_bad_file, file->where, "'%s' is a file that every run keeps in its folder", name);
        else
            diag_error(c->diag, DIAG_bad_file, file->where,
                       "'%s' may name '%s', a file that every run keeps in its folder", file->text, name);
        diag_hint(c->diag, "give the checkpoint another name");
        return false;
    }
    return true;
}

/* Whether it meets no file of another checkpoint; false: reported. */
static bool apart_from_others(struct check *c, const struct clause *clause, const struct arg_value *file)
{
    for (int i = 0; i < c->model->callbacks_count; i++) {
        const struct clause *other = c->model->callbacks[i];
        if (other->def != clause->def)
            continue;
        enum template_meeting meeting = rt_templates_meet(file->text, other->args[0].text);
        if (meeting == TEMPLATES_APART)
            continue;
        if (meeting != TEMPLATES_SAME)
            diag_error(c->diag, DIAG_bad_file, file->where, "'%s' would be both a file and a folder",
                       meeting == TEMPLATES_INSIDE ? other->args[0].text : file->text);
        else if (!strcmp(file->text, other->args[0].text))
            diag_error(c->diag, DIAG_bad_file, file->where, "two checkpoints write to '%s'", file->text);
        else
            diag_error(c->diag, DIAG_bad_file, file->where,
                       "two checkpoints may write to one file: as '%s' and as '%s'", file->text, other->args[0].text);
        diag_note(c->diag, other->args[0].where, "the other one is here");
        return false;
    }
    return true;
}

bool check_checkpoint_file(struct check *c, struct clause *clause)
{
    struct arg_value *file = &clause->args[0];
    const char *fault = name_fault(file->text);

    if (fault) {
        diag_error(c->diag, DIAG_bad_file, file->where, "'%s' %s", file->text, fault);
        return false;
    }
    file->text = place_of(c, file->text);
    return fields_fit(c, file) && apart_from_run(c, file) && apart_from_others(c, clause, file);
}
