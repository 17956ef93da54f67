#!/bin/sh
# workerd ends with the process that started it, also when that one is killed without a chance to clean up.
exec setpriv --pdeathsig KILL -- "$REAL_WORKERD" "$@"
