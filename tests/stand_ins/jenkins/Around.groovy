// What surrounds a stage's work while it lasts: options, an input, an agent, an environment
abstract class Around {
    static final WRAPPERS = ['lock', 'timeout']
    protected final Build build
    protected final Globals script

    Around(Build build, Globals script) {
        this.build = build
        this.script = script
    }

    def inAgent(agent, Closure body) {
        if (agent == null || agent == 'none') { return body() }
        def label = agent instanceof Closure ? read(agent, 'agent', ['label']).once().label : agent
        def outer = build.workspace
        build.workspace = new File(build.request.work, "workspace-${++build.agents}")
        if (!build.dry) { build.workspace.mkdirs() }
        build.note(agent: label)
        try {
            build.setting([WORKSPACE: build.workspace.path, NODE_LABELS: label]) { body() }
        } finally {
            build.note(left: label, clean: !build.workspace.exists())
            build.workspace = outer
        }
    }

    def inEnvironment(Closure body, Closure within) {
        def block = new Environment(build)
        if (body) {
            def copy = body.rehydrate(block, script, script)
            copy.resolveStrategy = Closure.DELEGATE_ONLY
            build.setting(block.set) { copy() }
        }
        try { build.setting(block.set) { within() } } finally { block.files*.delete() }
    }

    // in the order in which they are written
    def inOptions(Map options, Closure body) {
        def name = options.keySet().find { it in WRAPPERS }
        if (!name) { return body() }
        def given = Steps.known(name, options[name])
        if (name == 'lock') { build.locks << given.resource }
        build.note((name): given, locks: build.locks)
        try {
            inOptions(options.findAll { it.key != name }, body)
        } finally {
            if (name == 'lock') { build.note(unlock: build.locks.remove(build.locks.size() - 1)) }
        }
    }

    def asked(Closure input, Closure body) {
        if (!input) { return body() }
        def given = Steps.known('input', read(input, 'input', Steps.KNOWN.input.tokenize(' ')*.minus('*')).once())
        build.note(input: given, locks: build.locks, agent: build.workspace != null)
        if (build.request.answer != 'yes' && !build.dry) { throw new Interrupted('the input was refused') }
        build.setting(given.submitterParameter ? [(given.submitterParameter): 'ada'] : [:]) { body() }
    }

    Calls read(Closure body, String place, List known, Map words = [:]) {
        def calls = new Calls(place: place, known: known, words: words)
        if (body) {
            def copy = body.rehydrate(calls, script, script)
            copy.resolveStrategy = Closure.DELEGATE_ONLY
            copy()
            if (!calls.found) { throw new Refused("$place: is empty") }
        }
        calls
    }
}
