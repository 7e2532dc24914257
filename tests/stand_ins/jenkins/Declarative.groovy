// A declarative pipeline in the order in which Jenkins does it: ModelInterpreter.groovy of pipeline-model-definition-plugin
// (November 2025), and the Handbook's "Pipeline Syntax"
class Declarative extends Around {
    static final CONDITIONS = ['branch', 'changeRequest', 'expression', 'allOf', 'anyOf', 'not']
    static final BEFORE = ['beforeOptions', 'beforeInput', 'beforeAgent']
    // by the @Extension(ordinal) of each; those left out ask for the build before
    static final POST = ['always', 'aborted', 'success', 'unsuccessful', 'unstable', 'failure', 'cleanup']
    static final EACH_STAGE = ['agent', 'environment', 'input', 'options', 'post', 'stages', 'steps', 'when']

    Declarative(Build build, Globals script) { super(build, script) }

    void run(Closure body) {
        def words = [env: build.env, params: build.parameters, any: 'any', none: 'none']
        def known = ['agent', 'environment', 'options', 'parameters', 'post', 'stages', 'triggers']
        def top = read(body, 'pipeline', known, words).once()
        ['agent', 'stages'].each { if (!top[it]) { throw new Refused("pipeline: $it is missing") } }
        def options = read(top.options, 'options', ['buildDiscarder', 'disableConcurrentBuilds'] + WRAPPERS, words +
            [logRotator: { Map given -> Steps.known('logRotator', given) }]).once()
        Steps.known('disableConcurrentBuilds', options.disableConcurrentBuilds ?: [:])
        read(top.triggers, 'triggers', ['githubPush', 'cron', 'pollSCM'])
        read(top.parameters, 'parameters', ['string']).found.each { name, given ->
            def one = Steps.known(name, given[0])
            build.parameters[one.name] = build.request.parameters[one.name] ?: one.defaultValue
        }
        build.note(options: options)
        Failed error = null
        try {
            inAgent(top.agent) {
                inEnvironment(top.environment) {
                    inOptions(options) {
                        error = inTurn(top.stages)
                        error = post(top.post, error)
                    }
                }
            }
        } catch (Failed early) { error = error ?: early }
        if (error) { build.worsen(error.result) }
    }

    Failed inTurn(Closure body, Failed error = null) {
        def found = read(body, 'stages', ['stage']).found
        if (!found) { throw new Refused('stages: there is no stage') }
        def names = found.collect { it[1][0] }
        if (names.toSet().size() < names.size()) { throw new Refused("stages: one name, twice, in $names") }
        found.each { name, given ->
            if (error && !build.dry) {
                build.note(skipped: given[0], because: 'failure')
                return
            }
            try { stage(*given) } catch (Failed failed) { error = failed }
        }
        error
    }

    def stage(String name, Closure body) {
        def one = read(body, "stage $name", EACH_STAGE, [any: 'any', none: 'none']).once()
        if ((one.steps == null) == (one.stages == null)) { throw new Refused("stage $name: either steps or stages") }
        def when = new When(build, one.when ? read(one.when, 'when', CONDITIONS + BEFORE, [:]) : null, this)
        def options = read(one.options, 'options', WRAPPERS).once()
        build.setting([STAGE_NAME: name]) {
            build.note(stage: name)
            if (!when.passes('beforeOptions')) { return build.note(skipped: name, because: 'when') }
            inOptions(options) {
                if (!when.passes('beforeInput')) { return build.note(skipped: name, because: 'when') }
                asked(one.input) {
                    if (!when.passes('beforeAgent')) { return build.note(skipped: name, because: 'when') }
                    inAgent(one.agent) {
                        if (!when.passes(null)) { return build.note(skipped: name, because: 'when') }
                        inEnvironment(one.environment) { work(one) }
                    }
                }
            }
        }
    }

    // a stage's own post follows nothing but its own steps: not an input that was refused, nor a sign-in that failed
    private def work(Map one) {
        Failed error = null
        try { one.stages ? (error = inTurn(one.stages)) : steps(one.steps) } catch (Failed failed) { error = failed }
        error = post(one.post, error)
        if (error) { throw error }
    }

    private def steps(Closure body) {
        def copy = body.rehydrate(build.steps, script, script)
        copy.resolveStrategy = Closure.DELEGATE_FIRST
        copy()
    }

    private Failed post(Closure body, Failed error) {
        def found = read(body, 'post', POST).once()
        POST.findAll { it in found.keySet() }.each { name ->
            def result = error ? Build.worse(build.result, error.result) : build.result
            def wanted = [always: true, cleanup: true, unsuccessful: result != 'SUCCESS'].get(name, result.toLowerCase() == name)
            try { if (wanted || build.dry) { steps(found[name]) } } catch (Failed failed) { error = error ?: failed }
        }
        error
    }
}
