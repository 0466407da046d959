internal import Core
internal import Linux
internal import Sandbox

extension Engine {
  /// What `info` says of the powers that this process has on this machine, and how to get those it lacks.
  static func privileges() -> [InfoEntry] {
    let facts = UserNamespace.facts
    let entered = UserNamespace.entered
    var out = [InfoEntry(name: "Rootless", value: form(entered))]
    let fault = entered?.form == UserNamespace.Form.none ? entered?.reason : UserNamespace.containerFault()
    out.append(InfoEntry(name: " RUN and Containers", value: fault ?? "yes"))
    let controllers = ControlGroups.usable()
    out.append(
      InfoEntry(
        name: " Resource Limits",
        value: controllers.isEmpty ? "none: no control group is delegated" : controllers.joined(separator: " ")))
    if let entered {
      if let reason = entered.reason, reason != fault { out.append(InfoEntry(name: " Missing", value: reason)) }
      if let hint = entered.hint { out.append(InfoEntry(name: " Hint", value: hint)) }
      if entered.uid != 0 {
        for tool in [facts.userTool, facts.groupTool] {
          out.append(InfoEntry(name: " \(tool.name)", value: tool.path ?? "not installed"))
        }
        out.append(InfoEntry(name: " Subordinate User IDs", value: text(facts.userRanges)))
        out.append(InfoEntry(name: " Subordinate Group IDs", value: text(facts.groupRanges)))
      }
    }
    if let fault, fault.contains("/proc") {
      out.append(
        InfoEntry(name: " Hint", value: "start the outer container with --security-opt systempaths=unconfined"))
    }
    for (name, value) in facts.switches { out.append(InfoEntry(name: " \(name)", value: value)) }
    return out
  }

  private static func form(_ entered: UserNamespace.Entered?) -> String {
    guard let entered else { return UserNamespace.isInitial ? "no" : "no, but root of a user namespace only" }
    let who = entered.uid == 0 ? "root without CAP_SYS_ADMIN, as in a container" : "yes"
    switch entered.form {
    case .mapped:
      let ids = UserNamespace.userIDs.reduce(UInt64(0)) { $0 + UInt64($1.count) }
      return "\(who), in a user namespace with \(ids) ids"
    case .single: return "\(who), in a user namespace with a single id: steps that need another user or owner fail"
    case .none: return "\(who), without a user namespace: only what needs no RUN can be built"
    }
  }

  private static func text(_ ids: SubordinateIDs) -> String {
    if ids.ranges.isEmpty { return "none" }
    return ids.ranges.map { "\($0.first)+\($0.count)" }.joined(separator: " ")
  }
}
