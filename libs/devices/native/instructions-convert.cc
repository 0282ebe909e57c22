// Conversions between dtypes. Half-precision numbers are float32 here, decoded by loads (`decode`), rounded after every operator
// (`round`) and encoded by stores (`encode`); bool is a byte, 0 or 1.
#include "instructions.h"

namespace weft {

template <class R, class A>
static void addConversion(const char* to, const char* from) {
  instructions()[std::string("convert.") + from + "." + to] = [](const Lanes& p) {
    eachOne<std::conditional_t<std::is_same_v<R, bool>, uint8_t, R>, A>(p, [](A x) { return convertElement<R, A>(x); });
  };
}
template <class A>
static void addConversionsFrom(const char* from) {
  addConversion<bool, A>("bool", from);
  addConversion<int8_t, A>("int8", from);
  addConversion<uint8_t, A>("uint8", from);
  addConversion<int16_t, A>("int16", from);
  addConversion<uint16_t, A>("uint16", from);
  addConversion<int32_t, A>("int32", from);
  addConversion<uint32_t, A>("uint32", from);
  addConversion<int64_t, A>("int64", from);
  addConversion<uint64_t, A>("uint64", from);
  addConversion<float, A>("float32", from);
  addConversion<double, A>("float64", from);
}

static void addHalves() {
  auto& table = instructions();
  table["decode.float16"] = [](const Lanes& p) { eachOne<float, Half>(p, [](Half x) { return float(x); }); };
  table["encode.float16"] = [](const Lanes& p) { eachOne<Half, float>(p, [](float x) { return Half(x); }); };
  table["round.float16"] = [](const Lanes& p) { eachOne<float, float>(p, [](float x) { return roundToHalf(x); }); };
  table["decode.bfloat16"] = [](const Lanes& p) { eachOne<uint32_t, uint16_t>(p, [](uint16_t x) { return uint32_t(x) << 16; }); };
  table["encode.bfloat16"] = [](const Lanes& p) { eachOne<uint16_t, uint32_t>(p, [](uint32_t x) { return uint16_t(bfloat16Bits(x)); }); };
  table["round.bfloat16"] = [](const Lanes& p) { eachOne<uint32_t, uint32_t>(p, [](uint32_t x) { return bfloat16Bits(x) << 16; }); };
}

[[maybe_unused]] const bool conversionsAreThere = [] {
  addConversionsFrom<uint8_t>("bool");
  addConversionsFrom<int8_t>("int8");
  addConversionsFrom<uint8_t>("uint8");
  addConversionsFrom<int16_t>("int16");
  addConversionsFrom<uint16_t>("uint16");
  addConversionsFrom<int32_t>("int32");
  addConversionsFrom<uint32_t>("uint32");
  addConversionsFrom<int64_t>("int64");
  addConversionsFrom<uint64_t>("uint64");
  addConversionsFrom<float>("float32");
  addConversionsFrom<double>("float64");
  addHalves();
  return true;
}();

}  // namespace weft
