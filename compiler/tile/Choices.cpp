//===- Choices.cpp - Decisions that could be others -------------*- C++ -*-===//
#include "compiler/tile/Choices.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::tile;

/// What a kernel computes, as text.
static std::string describe(kern::FuncOp func) {
  OwningOpRef<kern::FuncOp> copy = func.clone();
  for (StringRef origin : {StringRef("nodes"), StringRef("flops"), StringRef("bytes"), StringRef(kChoices)})
    (*copy)->removeAttr(origin);
  copy->setSymName("kernel");
  std::string text;
  llvm::raw_string_ostream stream(text);
  (*copy)->print(stream, OpPrintingFlags().printGenericOpForm().useLocalScope().elideLargeElementsAttrs(64)
                             .elideLargeResourceString(64));
  return text;
}

Choice::Choice(kern::FuncOp func, StringRef kind, ArrayRef<std::string> decisions, bool isRecorded, StringRef context)
    : func(func), isRecorded(isRecorded) {
  if (decisions.empty() && !isRecorded)
    return;
  std::string text = describe(func);
  isOpen = StringRef(text).contains("?x") || StringRef(text).contains("x?");
  llvm::BLAKE3 hasher;
  hasher.update(text);
  hasher.update(context);
  key = (kind + "." + llvm::toHex(hasher.final<8>(), /*LowerCase=*/true)).str();
  for (StringRef given : decisions)
    if (auto [name, value] = given.split('='); name == key)
      decision = value;
}

void Choice::warnOfDecision() const {
  emitWarning(func.getLoc()) << "the decision " << key << "=" << *decision << " is none for this kernel; left to the cost model";
}

void Choice::record(StringRef chosen, ArrayRef<std::string> others) const {
  if (!isRecorded)
    return;
  Builder b(func.getContext());
  SmallVector<Attribute> list;
  if (auto before = func->getAttrOfType<ArrayAttr>(kChoices))
    llvm::append_range(list, before);
  SmallVector<NamedAttribute> fields = {b.getNamedAttr("key", b.getStringAttr(key)),
                                        b.getNamedAttr("chosen", b.getStringAttr(chosen)),
                                        b.getNamedAttr("others", b.getStrArrayAttr(SmallVector<StringRef>(others.begin(), others.end())))};
  if (isOpen)
    fields.push_back(b.getNamedAttr("open", b.getUnitAttr()));
  list.push_back(b.getDictionaryAttr(fields));
  func->setAttr(kChoices, b.getArrayAttr(list));
}
