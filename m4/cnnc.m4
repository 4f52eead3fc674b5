dnl cnnc.m4 - looking for what is needed, and one message that names all that is missing.

dnl CNNC_MISSING_START, CNNC_MISSING(what, Debian package), CNNC_MISSING_REPORT
AC_DEFUN([CNNC_MISSING_START], [cnnc_missing= cnnc_packages=])

AC_DEFUN([CNNC_MISSING],
[cnnc_missing="$cnnc_missing
    $1"
cnnc_packages="$cnnc_packages $2"])

AC_DEFUN([CNNC_MISSING_REPORT],
[AS_IF([test -n "$cnnc_missing"],
    [AC_MSG_ERROR([not found:$cnnc_missing
On Debian and Ubuntu: apt-get install$cnnc_packages
(./bootstrap does that by itself.)])])])

dnl CNNC_LIBRARY_PROBE(VARIABLE, pkg-config module, header, function, flag)
dnl Sets VARIABLE_CFLAGS and VARIABLE_LIBS, which the user may give, and cnnc_have_VARIABLE.  The compiler's own
dnl paths are tried first, then what pkg-config says; pkg-config itself is not needed.  (jpeglib.h wants stdio.h
dnl before it.)
AC_DEFUN([CNNC_LIBRARY_PROBE],
[AC_ARG_VAR([$1_CFLAGS], [compiler flags for $2])
AC_ARG_VAR([$1_LIBS], [linker flags for $2])
cnnc_saved_CPPFLAGS=$CPPFLAGS
cnnc_saved_LIBS=$LIBS
AS_IF([test -z "$$1_LIBS"], [$1_LIBS="$5"])
cnnc_have_$1=no
AC_MSG_CHECKING([for $2])
for cnnc_round in plain pkg-config; do
    AS_IF([test $cnnc_round = pkg-config],
        [AS_IF([test -n "`$PKG_CONFIG --libs $2 2>/dev/null`"], [], [break])
         $1_CFLAGS=`$PKG_CONFIG --cflags $2`
         $1_LIBS=`$PKG_CONFIG --libs $2`])
    CPPFLAGS="$cnnc_saved_CPPFLAGS $$1_CFLAGS"
    LIBS="$$1_LIBS $cnnc_saved_LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>
#include <$3>]], [[return !$4;]])],
        [cnnc_have_$1=yes; break])
done
AC_MSG_RESULT([$cnnc_have_$1])
CPPFLAGS=$cnnc_saved_CPPFLAGS
LIBS=$cnnc_saved_LIBS])

dnl CNNC_LIBRARY(VARIABLE, name, pkg-config module, header, function, flag, Debian package)
AC_DEFUN([CNNC_LIBRARY],
[CNNC_LIBRARY_PROBE([$1], [$3], [$4], [$5], [$6])
AS_IF([test "$cnnc_have_$1" = no], [CNNC_MISSING([$2 ($4 and $6)], [$7])])])
