/* completion.c - see completion.h.  One function a shell; what they have in common is quoting. */
#include "common/completion.h"

#include <ctype.h>
#include <string.h>

const char *const rt_completion_shells[] = { "bash", "zsh", "fish", NULL };

static const char *program_name(const struct completion *c)
{
    const char *slash = strrchr(c->program, '/');
    return slash ? slash + 1 : c->program;
}

/* The name of the shell function: what is no letter and no digit becomes a line. */
static void function_print(const struct completion *c, FILE *out)
{
    fputc('_', out);
    for (const char *s = program_name(c); *s; s++)
        fputc(isalnum((unsigned char)*s) ? *s : '_', out);
}

/* For inside '...' of bash and zsh, where only the quote itself has to be written otherwise. */
static void quoted_print(const char *text, FILE *out)
{
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
}

static void heading_print(const struct completion *c, const char *shell, FILE *out)
{
    fprintf(out, "# Written by %s --print-completion=%s.\n", program_name(c), shell);
}

/* ---- bash ---------------------------------------------------------------------------------- */

/* An argument that may be left out is one only behind an equals sign. */
static void bash_value(const struct option_row *o, FILE *out)
{
    fputs("    ", out);
    if (o->letter)
        fprintf(out, "-%c | ", o->letter);
    if (*o->argument == '[')
        fprintf(out, "--%s=)\n", o->name);
    else
        fprintf(out, "--%s | --%s=)\n", o->name, o->name);
    if (o->words[0]) {
        fputs("        COMPREPLY=($(compgen -W '", out);
        for (int i = 0; o->words[i]; i++)
            fprintf(out, "%s%s", i ? " " : "", o->words[i]);
        fputs("' -- \"$word\"))\n", out);
    } else if (o->completes != COMPLETE_NOTHING) {
        fprintf(out,
                "        compopt -o filenames 2>/dev/null\n"
                "        mapfile -t COMPREPLY < <(compgen -%c -- \"$word\")\n",
                o->completes == COMPLETE_FILE ? 'f' : 'd');
    }
    fputs("        return ;;\n", out);
}

/* Words that are no options: first a command where there are any, then files. */
static void bash_operands(const struct completion *c, FILE *out)
{
    if (c->commands_count) {
        fputs("    if ((COMP_CWORD == 1)); then\n        COMPREPLY=($(compgen -W '", out);
        for (int i = 0; i < c->commands_count; i++)
            fprintf(out, "%s%s", i ? " " : "", c->commands[i].name);
        fputs("' -- \"$word\"))\n        return\n    fi\n", out);
    }
    fputs("    compopt -o filenames 2>/dev/null\n", out);
    if (c->ending)
        fprintf(out,
                "    mapfile -t COMPREPLY < <(compgen -d -- \"$word\";"
                " compgen -f -X '!*%s' -- \"$word\")\n",
                c->ending);
    else
        fputs("    mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n", out);
}

static void bash_print(const struct completion *c, FILE *out)
{
    heading_print(c, "bash", out);
    function_print(c, out);
    fputs("()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    COMPREPLY=()\n"
          "    # bash takes --name=value for three words\n"
          "    if [[ $word == = ]]; then\n"
          "        word= option=$option=\n"
          "    elif [[ $option == = ]] && ((COMP_CWORD > 2)); then\n"
          "        option=${COMP_WORDS[COMP_CWORD-2]}=\n"
          "    fi\n"
          "    case $option in\n", out);
    for (int i = 0; i < c->options_count; i++)
        if (c->options[i].argument)
            bash_value(&c->options[i], out);
    fputs("    esac\n"
          "    if [[ $word == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W '", out);
    for (int i = 0; i < c->options_count; i++)
        fprintf(out, "%s--%s%s", i ? " " : "", c->options[i].name,
                c->options[i].argument && *c->options[i].argument != '[' ? "=" : "");
    fputs("' -- \"$word\"))\n"
          "        [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null\n"
          "        return\n"
          "    fi\n", out);
    bash_operands(c, out);
    fputs("}\ncomplete -F ", out);
    function_print(c, out);
    fputs(" '", out);
    quoted_print(program_name(c), out);
    fputs("'\n", out);
}

/* ---- zsh ----------------------------------------------------------------------------------- */

/* Text inside the '...' of an _arguments specification; some characters have a meaning where it
 * stands. */
static void zsh_text(const char *text, const char *special, FILE *out)
{
    for (; *text; text++) {
        if (strchr(special, *text))
            fputc('\\', out);
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
}

static void zsh_option(const struct option_row *o, FILE *out)
{
    bool optional = o->argument && *o->argument == '[';
    const char *equals = optional ? "=-" : o->argument ? "=" : "";

    fputs(" \\\n        ", out);
    if (o->letter && o->repeats)
        fprintf(out, "'*'{-%c%s,--%s%s}'", o->letter, o->argument ? "+" : "", o->name, equals);
    else if (o->letter)
        fprintf(out, "'(-%c --%s)'{-%c%s,--%s%s}'", o->letter, o->name, o->letter,
                o->argument ? "+" : "", o->name, equals);
    else
        fprintf(out, "'%s--%s%s", o->repeats ? "*" : "", o->name, equals);
    fputc('[', out);
    zsh_text(o->help, "[]:\\", out);
    fputc(']', out);
    if (o->argument) {
        fputs(optional ? "::" : ":", out);
        zsh_text(o->argument, ":\\", out);
        fputc(':', out);
        if (o->words[0]) {
            fputc('(', out);
            for (int i = 0; o->words[i]; i++)
                fprintf(out, "%s%s", i ? " " : "", o->words[i]);
            fputc(')', out);
        } else {
            fputs(o->completes == COMPLETE_FILE     ? "_files"
                  : o->completes == COMPLETE_FOLDER ? "_files -/"
                                                : " ",
                  out);
        }
    }
    fputc('\'', out);
}

static void zsh_print(const struct completion *c, FILE *out)
{
    fprintf(out, "#compdef %s\n", program_name(c));
    heading_print(c, "zsh", out);
    function_print(c, out);
    fputs("()\n{\n    _arguments -s -S", out);
    for (int i = 0; i < c->options_count; i++)
        zsh_option(&c->options[i], out);
    if (c->commands_count) {
        fputs(" \\\n        '1:command:((", out);
        for (int i = 0; i < c->commands_count; i++) {
            fprintf(out, "%s%s\\:\"", i ? " " : "", c->commands[i].name);
            zsh_text(c->commands[i].help, ":\\\"", out);
            fputc('"', out);
        }
        fputs("))'", out);
    }
    if (c->ending)
        fprintf(out, " \\\n        '*:file:_files -g \"*%s\"'\n}\n\n", c->ending);
    else
        fputs(" \\\n        '*:file:_files'\n}\n\n", out);
    /* As a file of fpath it is the function's own body at first; read by eval it only defines. */
    fputs("if [[ $funcstack[1] == ", out);
    function_print(c, out);
    fputs(" ]]; then\n    ", out);
    function_print(c, out);
    fputs(" \"$@\"\nelse\n    compdef ", out);
    function_print(c, out);
    fputs(" '", out);
    quoted_print(program_name(c), out);
    fputs("'\nfi\n", out);
}

/* ---- fish ---------------------------------------------------------------------------------- */

static void fish_quoted(const char *text, FILE *out)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('\'', out);
}

static void fish_start(const struct completion *c, FILE *out)
{
    fputs("complete -c ", out);
    fish_quoted(program_name(c), out);
}

static void fish_option(const struct completion *c, const struct option_row *o, FILE *out)
{
    fish_start(c, out);
    if (o->letter)
        fprintf(out, " -s %c", o->letter);
    fprintf(out, " -l %s", o->name);
    if (o->words[0]) {
        fputs(" -x -a '", out);
        for (int i = 0; o->words[i]; i++)
            fprintf(out, "%s%s", i ? " " : "", o->words[i]);
        fputc('\'', out);
    } else if (o->completes == COMPLETE_FILE) {
        fputs(*o->argument == '[' ? " -F" : " -r -F", out);
    } else if (o->completes == COMPLETE_FOLDER) {
        fputs(" -x -a '(__fish_complete_directories)'", out);
    } else if (o->argument) {
        fputs(" -x", out);
    }
    fputs(" -d ", out);
    fish_quoted(o->help, out);
    fputc('\n', out);
}

static void fish_print(const struct completion *c, FILE *out)
{
    heading_print(c, "fish", out);
    for (int i = 0; i < c->options_count; i++)
        fish_option(c, &c->options[i], out);
    for (int i = 0; i < c->commands_count; i++) {
        fish_start(c, out);
        fprintf(out, " -f -n __fish_use_subcommand -a %s -d ", c->commands[i].name);
        fish_quoted(c->commands[i].help, out);
        fputc('\n', out);
    }
    if (c->ending) {
        fish_start(c, out);
        fprintf(out, " -f -k -a '(__fish_complete_suffix %s)'\n", c->ending);
    }
}

bool rt_completion_print(const struct completion *c, const char *shell, FILE *out)
{
    if (!strcmp(shell, "bash"))
        bash_print(c, out);
    else if (!strcmp(shell, "zsh"))
        zsh_print(c, out);
    else if (!strcmp(shell, "fish"))
        fish_print(c, out);
    else
        return false;
    return true;
}
