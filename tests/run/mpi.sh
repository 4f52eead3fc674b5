# mpi.sh - what tests of several processes share, behind common.sh: $found are the MPIs that are there, of $CNN_MPIS, else all.

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_base_warn_component_unused=0
unset CNN_TEST_WEIGHTS

found=
for name in ${CNN_MPIS:-openmpi mpich}; do
    command -v "mpicc.$name" >/dev/null && command -v "mpirun.$name" >/dev/null && found="$found $name"
done
[ -n "$found" ] || skip "neither Open MPI nor MPICH is here (mpicc.openmpi, mpicc.mpich)"

# together MPI ARGUMENT...: its mpirun, on however many processors there are.
together() {
    local mpi=$1
    shift
    case $mpi in
    openmpi) mpirun.openmpi --oversubscribe --bind-to none "$@" ;;
    *) "mpirun.$mpi" "$@" ;;
    esac
}

# run MPI PROCESSES command...
run() {
    local mpi=$1 n=$2
    shift 2
    together "$mpi" -n "$n" "$@"
}

mpi_words() { # WORD: what the makefile of users says of it
    printf 'include %s\nwords:\n\t@echo $(%s)\n' "$BUILD/cnnc.mk" "$1" |
        env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s --no-print-directory -f - words CNNC_TARGET=native
}
flags=$(mpi_words cnnc_cflags)
libs=$(mpi_words cnnc_libs)
# compile MPI MODEL.c PROGRAM
compile() {
    # shellcheck disable=SC2086
    "mpicc.$1" $flags -O1 -DCNN_MPI "$2" "$TOP/runtime/mpi/cnnrt_mpi.c" -o "$3" $libs
}
