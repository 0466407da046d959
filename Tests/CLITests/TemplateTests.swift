import Core
import Testing

@testable import CLI

@Suite struct TemplateTests {
  static let value = parsed(
    """
    {"ID":"abc","Names":["a","b"],"Size":12,"Empty":[],"Config":{"Env":["A=1","B=2"],"Labels":{"k":"v","x.y":"z"},
    "Cmd":null,"Tty":false},"Labels":"one=1,two=2"}
    """)

  private static func parsed(_ text: String) -> JSON { (try? JSON.parse(text)) ?? .null }

  func render(_ template: String) throws -> String { try Template(template).render(Self.value) }

  func reason(_ template: String) -> String? {
    do {
      return "rendered " + (try render(template))
    } catch let failure as Failure {
      return failure.description
    } catch { return "\(error)" }
  }

  static let rendersCases: [(String, String)] = [
    ("{{.ID}}", "abc"), ("{{ .Config.Tty }}", "false"), ("{{json .Config.Labels}}", #"{"k":"v","x.y":"z"}"#),
    ("{{range .Names}}{{.}},{{end}}", "a,b,"), ("{{range $i, $n := .Names}}{{$i}}={{$n}} {{end}}", "0=a 1=b "),
    ("{{range .Empty}}x{{else}}none{{end}}", "none"), ("{{if .Empty}}x{{else if .ID}}y{{else}}z{{end}}", "y"),
    ("{{with .Config}}{{.Tty}}{{$.ID}}{{end}}", "falseabc"), ("{{index .Config.Labels \"x.y\"}}", "z"),
    ("{{index .Names 1}}", "b"), ("{{len .Names}}", "2"), ("{{join .Names \", \"}}", "a, b"),
    ("{{upper .ID}}{{.ID | upper | lower}}", "ABCabc"),
    ("{{printf \"%-5s|%3d|%q\" .ID .Size .ID}}", "abc  | 12|\"abc\""),
    ("{{eq .ID \"x\" \"abc\"}} {{ne .Size 12}} {{lt .Size 13}} {{ge .Size 13}}", "true false true false"),
    ("{{and .ID .Size}} {{or .Empty .ID}} {{not .ID}}", "12 abc false"), ("a {{- .ID -}} b", "aabcb"),
    ("{{/* note */}}x", "x"), ("{{$x := .Size}}{{$x}}", "12"),
    ("{{.Names}} {{.Config.Labels}}", "[a b] map[k:v x.y:z]"),
    ("{{.Config.Cmd}}", "<nil>"), ("{{.Config.Labels.none}}", "<no value>"), ("{{.Label \"two\"}}", "2"),
    ("{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}};{{end}}", "k:v;x.y:z;"), ("{{(index .Names 0)}}", "a"),
    ("{{println .ID .Size}}", "abc 12\n"), ("{{slice .ID 1}}", "bc"), ("{{split \"a:b\" \":\"}}", "[a b]"),
    ("{{truncate .ID 2}}{{pad .ID 1 2}}|{{title \"a b\"}}", "ab abc  |A B"), ("{{`raw`}}", "raw"),
    ("{{range .Names}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"),
    ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"), ("{{print 1 2 \"x\"}}", "1 2x"),
    ("{{$x := 1}}{{if .ID}}{{$x = 2}}{{end}}{{$x}}", "2"), ("{{len (index .Names 0)}}", "1"),
  ]

  @Test(arguments: rendersCases)
  func renders(_ template: String, _ expected: String) throws {
    #expect(try render(template) == expected)
  }

  static let failsAsDockerCases: [(String, String)] = [
    ("{{.Nme}}", "executing \"\" at <.Nme>: map has no entry for key \"Nme\""),
    ("{{.ID", "unclosed action"), ("{{end}}", "unexpected {{end}}"), ("{{if .ID}}", "unexpected EOF"),
    ("{{nope .ID}}", "function \"nope\" not defined"), ("{{}}", "missing value for command"),
    ("{{.ID.X}}", "can't evaluate field X in abc"), ("{{index .Names 7}}", "index out of range: 7"),
    ("{{break}}", "{{break}} outside {{range}}"), ("{{\"x}}", "unterminated quoted string"),
    ("{{eq .ID 1}}", "incompatible types for comparison"), ("{{(.ID}}", "unclosed left paren"),
    ("{{.ID)}}", "unexpected \")\""), ("{{$x}}", "undefined variable \"$x\""),
  ]

  @Test(arguments: failsAsDockerCases)
  func failsAsDocker(_ template: String, _ expected: String) {
    let text = reason(template) ?? ""
    #expect(text.hasPrefix("template parsing error: template: :1: "))
    #expect(text.contains(expected), "\(text)")
  }

  @Test func isBounded() {
    #expect(reason(String(repeating: "{{if .ID}}", count: 100))?.contains("nested more than") == true)
    let parens = String(repeating: "(", count: 100) + "1" + String(repeating: ")", count: 100)
    #expect(reason("{{" + parens + "}}")?.contains("nested more than") == true)
    #expect(reason(String(repeating: "x", count: 70000))?.contains("64 KiB") == true)
  }

  @Test func tablesHaveDockersColumns() throws {
    let rows: [JSON] = [
      .object(["ID": "3f57d9401f8d", "Name": "busybox", "Size": "4.26MB"]),
      .object(["ID": "b", "Name": "a-rather-long-name", "Size": "0B"]),
    ]
    let columns: [OutputFormat.Column] = [.init("ID", "IMAGE ID"), .init("Name", "REPOSITORY"), .init("Size", "SIZE")]
    let table = try OutputFormat(nil, default: "{{.Name}}\t{{.ID}}\t{{.Size}}")
    #expect(
      try table.render(rows, columns: columns) == """
        REPOSITORY           IMAGE ID       SIZE
        busybox              3f57d9401f8d   4.26MB
        a-rather-long-name   b              0B

        """)
    #expect(
      try OutputFormat("table {{.ID}}\\t{{upper .Name}}", default: "").render([rows[0]], columns: columns)
        == "IMAGE ID       REPOSITORY\n3f57d9401f8d   BUSYBOX\n")
    #expect(try OutputFormat("{{.ID}}", default: "").render(rows, columns: columns) == "3f57d9401f8d\nb\n")
    #expect(
      try OutputFormat("json", default: "").render([rows[1]], columns: columns)
        == "{\"ID\":\"b\",\"Name\":\"a-rather-long-name\",\"Size\":\"0B\"}\n")
  }
}
