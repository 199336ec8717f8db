//===- Remarks.cpp - What passes say of kernels -----------------*- C++ -*-===//
#include "compiler/support/Remarks.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace nacre;

remark::RemarkOpts nacre::aboutKernel(StringRef pass, Operation *op) {
  while (op && !isa_and_present<ModuleOp>(op->getParentOp()))
    op = op->getParentOp();
  StringAttr name = op ? op->getAttrOfType<StringAttr>(SymbolTable::getSymbolAttrName()) : nullptr;
  return remark::RemarkOpts::name(pass).category(pass).function(name ? name.getValue() : StringRef());
}

static StringRef getKind(llvm::remarks::Type type) {
  switch (type) {
  case llvm::remarks::Type::Passed: return "passed";
  case llvm::remarks::Type::Missed: return "missed";
  case llvm::remarks::Type::Failure: return "failed";
  default: return "analysis";
  }
}

class RemarkLog::Streamer : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Streamer(RemarkLog &log) : log(log) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    std::string text;
    llvm::raw_string_ostream os(text);
    for (const auto &arg : remark.getArgs()) {
      if (arg.val.empty())
        continue;
      bool isText = arg.key == "Remark" || arg.key == "Reason";
      os << (text.empty() || arg.val.front() == ',' || arg.val.front() == ';' ? "" : ", ");
      if (!isText)
        os << StringRef(arg.key).lower() << ' ';
      os << arg.val;
    }
    std::lock_guard lock(log.mutex);
    log.entries.push_back({remark.getFunction().str(), remark.getCategoryName().str(), getKind(remark.getRemarkType()), std::move(text)});
  }

private:
  RemarkLog &log;
};

void RemarkLog::attachTo(MLIRContext &context, bool print) {
  (void)remark::enableOptimizationRemarks(context, std::make_unique<Streamer>(*this),
                                          std::make_unique<remark::RemarkEmittingPolicyAll>(),
                                          {{}, ".*", ".*", ".*", ".*"}, print);
}

std::vector<RemarkLog::Entry> RemarkLog::get(StringRef kernel) const {
  std::lock_guard lock(mutex);
  std::vector<Entry> own;
  for (const Entry &entry : entries)
    if (entry.kernel == kernel && llvm::none_of(own, [&](const Entry &other) {
          return other.pass == entry.pass && other.kind == entry.kind && other.text == entry.text;
        }))
      own.push_back(entry);
  return own;
}
