program hello
  implicit none
  integer :: i
  print '(a, i0)', 'hello Fortran ', sum([(i, i = 1, 100)])
end program hello
