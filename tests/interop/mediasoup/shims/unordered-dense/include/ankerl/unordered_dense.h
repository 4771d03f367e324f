// The names that the worker uses, over the standard containers: slower, and the same.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <unordered_set>

namespace ankerl::unordered_dense {

template <class Key>
struct hash {
  using is_avalanching = void;

  // Many std::hash are the identity, so the bits are mixed (Fibonacci hashing).
  auto operator()(const Key& key) const -> std::uint64_t {
    const auto mixed = static_cast<std::uint64_t>(std::hash<Key>{}(key)) * 0x9e3779b97f4a7c15U;
    return mixed ^ (mixed >> 32U);
  }
};

template <class Key, class Value, class Hash = hash<Key>, class Equal = std::equal_to<Key>>
using map = std::unordered_map<Key, Value, Hash, Equal>;

template <class Key, class Hash = hash<Key>, class Equal = std::equal_to<Key>>
using set = std::unordered_set<Key, Hash, Equal>;

}  // namespace ankerl::unordered_dense
