// What a block of directives says, in order; what it may not say is refused
class Calls {
    String place
    List known
    Map words
    final List found = []

    def methodMissing(String name, arguments) {
        if (words[name] instanceof Closure) { return words[name].call(*arguments) }
        if (!(name in known)) { throw new Refused("$place: $name is not known in this place") }
        found << [name, arguments as List]
        null
    }

    def propertyMissing(String name) {
        if (!words.containsKey(name)) { throw new Refused("$place: $name is not known in this place") }
        words[name]
    }

    // each at most once, with its one argument
    Map once() {
        def names = found*.first()
        names.unique(false).each { name ->
            if (names.count(name) > 1) { throw new Refused("$place: $name is there twice") }
        }
        found.collectEntries { name, given -> [name, given ? given[0] : [:]] }
    }
}

// NAME = 'string', "string with ${env.OTHER}" or credentials('id')
class Environment {
    final Map<String, String> set = [:]
    final List<File> files = []
    private final Build build

    Environment(Build build) { this.build = build }

    void propertyMissing(String name, value) {
        if (set.containsKey(name)) { throw new Refused("environment: $name is there twice") }
        set[name] = value?.toString()
    }

    def getEnv() { build.env }

    def getParams() { build.parameters }

    // "Credentials Binding Plugin", secret file: a path, outside of the workspace
    String credentials(String id) {
        def file = File.createTempFile('secret', '', new File(build.request.work))
        files << file
        file.text = build.steps.secret(id).file
        file.path
    }
}
