#include <iostream>
#include <numeric>
#include <stdexcept>
#include <vector>

int main() {
  std::vector<int> values(100);
  std::iota(values.begin(), values.end(), 1);
  std::cout << "hello C++ " << std::accumulate(values.begin(), values.end(), 0);
  try {
    values.at(100) = 0;
  } catch (const std::out_of_range &) {
    std::cout << " caught";
  }
  std::cout << std::endl;
}
